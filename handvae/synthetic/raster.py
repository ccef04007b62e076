"""A scanline z-buffer in plain torch: triangles -> rows -> spans -> pixels by repeat_interleave, then one scatter.

Pixel (row i, column j) is sampled at u = j, v = i. The buffer keeps the least depth (1e-6 m) << 32 | triangle: exact,
whatever the order of writing.
"""

import torch

EMPTY = torch.iinfo(torch.int64).max
DEPTH_STEP_M = 1e-6
NEAR_M = 0.04
SLACK_PX = 1e-3  # widens spans, so that rounding leaves no crack between neighbours


def rasterise(corners: torch.Tensor, height: int, width: int, picture: torch.Tensor, pictures: int) -> torch.Tensor:
    """Draw triangles from both sides, in several pictures at once.

    corners: (3 corners, 3, F) float32: u, v in pixels and inverse depth w = 1/z in 1/m, which is linear on the screen.
    picture: (F,) int64 below `pictures`, the one that each triangle is drawn in.
    Triangles with a corner nearer than 4 cm or behind the camera are left out.
    Returns (pictures * height * width,) int64 keys, EMPTY where nothing was drawn; see depth_m and triangle.
    """
    rows, triangle = _rows(corners, height, width)
    pixels, inverse_depth, row_of_pixel = _pixels(rows, width)
    triangle = triangle.index_select(0, row_of_pixel)
    key = (((1 / DEPTH_STEP_M) / inverse_depth).long() << 32) | triangle
    pixels = pixels + (picture * (height * width)).index_select(0, triangle)
    buffer = torch.full((pictures * height * width,), EMPTY, dtype=torch.int64)
    return buffer.scatter_reduce_(0, pixels, key, "amin")


def depth_m(keys: torch.Tensor) -> torch.Tensor:
    """(...,) float32 depth of drawn pixels."""
    return ((keys >> 32).double() * DEPTH_STEP_M).float()


def triangle(keys: torch.Tensor) -> torch.Tensor:
    return keys & 0xFFFFFFFF


def _sort_by_v(u: torch.Tensor, v: torch.Tensor) -> list[torch.Tensor]:
    u, v = list(u), list(v)
    for i, j in ((0, 1), (1, 2), (0, 1)):
        swap = v[i] > v[j]
        u[i], u[j] = torch.where(swap, u[j], u[i]), torch.where(swap, u[i], u[j])
        v[i], v[j] = torch.minimum(v[i], v[j]), torch.maximum(v[i], v[j])
    return [*u, *v]


def _slope(run: torch.Tensor, rise: torch.Tensor) -> torch.Tensor:
    """run / rise; 0 for an edge within a row, whose two ends the other edges supply."""
    level = rise < 1e-6
    return run * ~level / (rise + level)


def _rows(corners: torch.Tensor, height: int, width: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Cut triangles into rows: [first, last column, row, w at column 0, dw/du, least w, greatest w], their triangle."""
    u, v, w = corners.unbind(1)
    low_w, high_w = w.amin(0), w.amax(0)
    drawn = (low_w > 0) & (high_w < 1 / NEAR_M) & (u.amax(0) >= 0) & (u.amin(0) <= width - 1)
    first = (v.amin(0) - SLACK_PX).ceil().clamp(min=0)
    last = (v.amax(0) + SLACK_PX).floor().clamp(max=height - 1)
    kept = (drawn & (last >= first)).nonzero()[:, 0]
    u, v, w = corners.index_select(2, kept).unbind(1)
    first, last, low_w, high_w = (t.index_select(0, kept) for t in (first, last, low_w, high_w))
    u1, v1, u2, v2 = u[1] - u[0], v[1] - v[0], u[2] - u[0], v[2] - v[0]
    area = u1 * v2 - u2 * v1
    flat = area.abs() < 1e-9
    area = area + flat
    w1, w2 = (w[1] - w[0]) * ~flat, (w[2] - w[0]) * ~flat
    w_u, w_v = (w1 * v2 - w2 * v1) / area, (w2 * u1 - w1 * u2) / area
    ut, um, ub, vt, vm, vb = _sort_by_v(u, v)
    long, upper, lower = _slope(ub - ut, vb - vt), _slope(um - ut, vm - vt), _slope(ub - um, vb - vm)
    w_0 = w[0] - w_u * u[0] - w_v * v[0]
    count = (last - first + 1).long()
    triangle_of_row = torch.repeat_interleave(count)
    start = count.cumsum(0) - count
    per_triangle = torch.stack([first - start, ut, vt, long, um, vm, upper, lower, w_0, w_u, w_v, low_w, high_w])
    t = per_triangle.index_select(1, triangle_of_row)
    y = t[0] + torch.arange(len(triangle_of_row))
    across = t[1] + (y - t[2]) * t[3]
    below = y - t[5]
    bent = t[4] + below.clamp(max=0) * t[6] + below.clamp(min=0) * t[7]
    left = (torch.minimum(across, bent) - SLACK_PX).ceil().clamp(min=0)
    right = (torch.maximum(across, bent) + SLACK_PX).floor().clamp(max=width - 1)
    return [left, right, y, t[8] + t[10] * y, t[9], t[11], t[12]], kept.index_select(0, triangle_of_row)


def _pixels(rows: list[torch.Tensor], width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cut rows into pixels: flat pixel index, inverse depth, index of the row each came from."""
    left, right, y, w_row, w_u, low_w, high_w = rows
    count = (right - left + 1).clamp(min=0).long()
    row_of_pixel = torch.repeat_interleave(count)
    start = count.cumsum(0) - count
    index = torch.arange(len(row_of_pixel))
    x = index + (left.long() - start).index_select(0, row_of_pixel)
    r = torch.stack([w_row, w_u, low_w, high_w]).index_select(1, row_of_pixel)
    w = torch.minimum(torch.maximum(r[0] + r[1] * x, r[2]), r[3])  # slivers have steep planes: stay inside the triangle
    return x + (y.long() * width).index_select(0, row_of_pixel), w, row_of_pixel
