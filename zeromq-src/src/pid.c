/* The number of this process, for libzmq in place of getpid(). It asks at each wake-up and at each look into an empty
   queue whether it is in a forked child, and each time that is a system call: some twenty on the way of an event that
   travels alone. A fork tells. */

#include <pthread.h>
#include <unistd.h>

static pid_t pid;

static void forked(void)
{
    pid = getpid();
}

__attribute__((constructor)) static void loaded(void)
{
    pid = getpid();
    pthread_atfork(NULL, NULL, forked);
}

pid_t zmq_cached_pid(void)
{
    return pid;
}
