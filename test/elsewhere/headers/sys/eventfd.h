#error "<sys/eventfd.h> is of Linux alone"
