#include "load.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

// Clients that read nothing while the others are measured, and everything afterwards: what they got and the gaps they were
// told of must make up all that was sent.

enum { RECEIVE_BYTES = 16384, SEGMENT_BYTES = 1400, TRY_AGAIN_LATER = 1013 };

long caughtUp, skipped, turnedAway;

static long *last;

static long first_stalled(void) { return settings.connections + settings.senders; }

int is_stalled(const struct client *client) { return client->index >= first_stalled(); }

long stalled_subscription(const struct client *client) {
  return (client->index - first_stalled()) % (settings.rooms * settings.members);
}

// Loopback's segments are so large that the server's kernel would hold megabytes for each of them.
void keep_small(int fd) {
  int bytes = RECEIVE_BYTES, segment = SEGMENT_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
}

void stall_all(void) {
  last = calloc(settings.stalled, sizeof *last);
  for (long i = 0; i < settings.stalled; i++) stop_reading(&clients[first_stalled() + i]);
}

// Returns -1 for one that is no number.
static long gap_of(const struct frame *frame) {
  const char *blank = memmem(frame->payload, frame->length, "\n\n", 2);
  const char *gap = memmem(frame->payload, blank - frame->payload, "\ngap:", 5);
  if (!gap) return 0;
  return gap[5] >= '1' && gap[5] <= '9' ? atol(gap + 5) : -1;
}

void stalled_message(const struct client *client, const struct tail *tail, const struct frame *frame) {
  long *before = &last[client->index - first_stalled()], gap = gap_of(frame);
  if (gap < 0 || tail->number != *before + 1 + gap) orderFaults++;
  *before = tail->number;
  skipped += gap;
}

void stalled_closed(struct client *client, const struct frame *frame) {
  const unsigned char *code = (const unsigned char *)frame->payload;
  if (frame->length >= 2 && code[0] * 256 + code[1] == TRY_AGAIN_LATER) turnedAway++;
  client->state = GONE;
}

int all_caught_up(const uint32_t *published) {
  static int reading;
  for (long i = 0; i < settings.stalled && !reading; i++) read_again(&clients[first_stalled() + i]);
  reading = 1;
  caughtUp = 0;
  long gone = 0;
  for (long i = 0; i < settings.stalled; i++) {
    const struct client *client = &clients[first_stalled() + i];
    if (client->state == GONE) gone++;
    else if (last[i] == published[stalled_subscription(client) / settings.members]) caughtUp++;
  }
  return caughtUp + gone == settings.stalled;
}
