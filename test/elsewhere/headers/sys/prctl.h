#error "<sys/prctl.h> is of Linux alone"
