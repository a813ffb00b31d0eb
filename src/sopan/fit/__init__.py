"""Train, tune, calibrate, measure, save and load any step."""
