"""What the parameters of the estimator mean, and which values they may have."""
