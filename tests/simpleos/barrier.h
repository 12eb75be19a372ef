/* Order of memory accesses towards other CPUs. */
#ifndef BARRIER_H
#define BARRIER_H

#define READ_ONCE(object) (*(const volatile __typeof__(object) *)&(object))
#define WRITE_ONCE(object, value) (*(volatile __typeof__(object) *)&(object) = (value))

static inline void memory_barrier(void)
{
    asm volatile("mfence" ::: "memory");
}

#endif
