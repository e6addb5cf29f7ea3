// Asynchronous writes, done at once: qemu-user does not pass those of the kernel on. Linked
// in the place of the engine's calls, for the test alone.
#include <errno.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct queue {
	pthread_mutex_t lock;
	unsigned count, most;
	struct io_event events[];
};

int io_setup(unsigned most, aio_context_t *ctx)
{
	struct queue *q = calloc(1, sizeof *q + most * sizeof q->events[0]);
	if (q == NULL)
		return -1;
	pthread_mutex_init(&q->lock, NULL);
	q->most = most;
	*ctx = (aio_context_t)q;
	return 0;
}

int io_destroy(aio_context_t ctx)
{
	free((struct queue *)ctx);
	return 0;
}

static int64_t done(const struct iocb *cb)
{
	ssize_t n;
	if (cb->aio_lio_opcode == IOCB_CMD_PWRITEV)
		n = pwritev((int)cb->aio_fildes, (struct iovec *)(uintptr_t)cb->aio_buf, (int)cb->aio_nbytes, cb->aio_offset);
	else if (cb->aio_lio_opcode == IOCB_CMD_PWRITE)
		n = pwrite((int)cb->aio_fildes, (void *)(uintptr_t)cb->aio_buf, cb->aio_nbytes, cb->aio_offset);
	else
		return -EINVAL;
	return n < 0 || fdatasync((int)cb->aio_fildes) < 0 ? -errno : n;
}

int io_submit(aio_context_t ctx, long count, struct iocb **all)
{
	struct queue *q = (struct queue *)ctx;
	for (long i = 0; i < count; i++) {
		struct iocb *cb = all[i];
		int64_t result = done(cb);
		pthread_mutex_lock(&q->lock);
		if (q->count == q->most)
			abort(); // more than it was set up for
		q->events[q->count++] = (struct io_event){.data = cb->aio_data, .obj = (uintptr_t)cb, .res = result};
		pthread_mutex_unlock(&q->lock);
		uint64_t one = 1;
		if (cb->aio_flags & IOCB_FLAG_RESFD && write((int)cb->aio_resfd, &one, sizeof one) < 0)
			return -1;
	}
	return (int)count;
}

int io_getevents(aio_context_t ctx, long least, long most, struct io_event *into, struct timespec *wait)
{
	struct queue *q = (struct queue *)ctx;
	long n = 0;
	(void)least; // all that was submitted is done
	(void)wait;
	pthread_mutex_lock(&q->lock);
	for (; n < most && n < (long)q->count; n++)
		into[n] = q->events[n];
	q->count -= (unsigned)n;
	for (unsigned i = 0; i < q->count; i++)
		q->events[i] = q->events[i + (unsigned)n];
	pthread_mutex_unlock(&q->lock);
	return (int)n;
}
