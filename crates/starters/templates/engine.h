/* How a message leaves and how its answer comes back: one flow to one far end. What your program changes is in main;
 * what a technique needs of the host is in engine.c. */
#ifndef ENGINE_H
#define ENGINE_H

#include <stddef.h>
#include <stdint.h>

/* Opens the flow to an IPv4 address and a UDP port. DEVICE and LOCAL may be NULL where README.md says so. On failure it
 * returns -1, and nothing stays behind. */
int engine_open(const char *target, uint16_t port, const char *device, const char *local);

/* Sends one message. 0, or -1 on failure. */
int engine_send(const void *message, size_t len);

/* Length of the next message; 0 when UNTIL_NS on CLOCK_MONOTONIC has passed; -1 on failure. */
long engine_recv(void *buffer, size_t room, uint64_t until_ns);

/* Why the last call failed, in one line. */
const char *engine_error(void);

/* CLOCK_MONOTONIC. */
uint64_t engine_now_ns(void);

/* Gives everything back. What a killed program left behind the kernel takes away itself. */
void engine_close(void);

#endif
