# An image with the repository and its environment.
#   docker build -t handvae .                                   PyTorch for the CPU
#   docker build -t handvae:cuda --build-arg CPU=0 .            PyTorch with CUDA; the driver is the host's: --gpus all
#   docker run -it --shm-size=2g --name run handvae make repro  the pipeline; Ray, which runs the grid, needs the memory
#   docker cp run:/home/hand/handvae/reports .                  what it made
FROM python:3.11-slim

# git: DVC; g++: torch.compile in profile `paper`
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home hand && install -d -o hand -g hand /home/hand/handvae
USER hand
WORKDIR /home/hand/handvae

# the environment first: it is built again only where the lock changes
ARG CPU=1
COPY --chown=hand:hand Makefile requirements.in requirements.txt ./
RUN PIP_NO_CACHE_DIR=1 make setup CPU=$CPU
ENV PATH=/home/hand/handvae/.venv/bin:$PATH

COPY --chown=hand:hand . .
# the lock is now newer than the environment that was made from it, which make would take for a change
RUN touch .venv/.ready
CMD ["make"]
