"""Networks, the cross-modal VAE, batches on the device, Algorithm 1."""
