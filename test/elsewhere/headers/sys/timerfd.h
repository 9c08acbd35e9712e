#error "<sys/timerfd.h> is of Linux alone"
