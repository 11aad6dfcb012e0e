"""Files: checkpoints and shared phases while training, saved estimators afterwards."""
