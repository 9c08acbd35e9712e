#error "<sys/epoll.h> is of Linux alone"
