"""Cross-modal deep variational hand pose estimation (Spurr et al., CVPR 2018), from raw data to the paper's tables."""
