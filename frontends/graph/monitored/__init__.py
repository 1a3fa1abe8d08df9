"""Sessions that hooks watch: training loops that stop, log, save and restore by themselves."""
