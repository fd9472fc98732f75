#include "load.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// What clients send. It is gathered until the end of a turn, then written at once.

enum { FRAME_BYTES = 65536 };

static struct client **dirty;
static long dirtyCount;

// The destination of a room: "{}" in the pattern is its number.
static const char *destination(const char *pattern, long room) {
  static char text[512];
  const char *at = strstr(pattern, "{}");
  if (at) snprintf(text, sizeof text, "%.*s%ld%s", (int)(at - pattern), pattern, room, at + 2);
  else snprintf(text, sizeof text, "%s", pattern);
  return text;
}

const char *id_of(long subscription) {
  static char text[32];
  long number = strcmp(settings.id, "unique") ? subscription / settings.connections : subscription;
  snprintf(text, sizeof text, "s%06ld", number);
  return text;
}

void queue(struct client *client, const char *bytes, long length, int opcode) {
  if (client->outBytes + length + 14 > client->outRoom) {
    client->outRoom = (client->outBytes + length + 14) * 2;
    client->out = realloc(client->out, client->outRoom);
  }
  if (opcode) {
    client->outBytes += put_frame(client->out + client->outBytes, opcode, bytes, length);
  } else {
    memcpy(client->out + client->outBytes, bytes, length);
    client->outBytes += length;
  }
  if (!dirty) dirty = calloc(settings.connections + settings.senders + settings.stalled, sizeof *dirty);
  if (!client->dirty) dirty[dirtyCount++] = client;
  client->dirty = 1;
}

void send_frame(struct client *client, const char *format, ...) {
  char frame[FRAME_BYTES];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(frame, sizeof frame, format, values);
  va_end(values);
  // The closing NUL of C is that of STOMP; a line break alone is a heart-beat.
  queue(client, frame, length == 1 ? 1 : length + 1, TEXT);
}

// As Baton's relay publishes it (src/message.ts), number `number` of its channel and of its source.
static void publish_message(struct client *client, long room, long number) {
  static const char SOURCE[] = "bench/rooms/0~1";
  char headers[128], line[256], command[FRAME_BYTES];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const char *channel = destination(settings.publish, room);
  int headersLength =
      snprintf(headers, sizeof headers, "content-type:application/json\ncontent-length:%ld\n", settings.bytes);
  int lineLength = snprintf(line, sizeof line, "B1 bench %ld %s %ld %ld - %d\n", number, SOURCE, number,
                            now.tv_sec * 1000 + now.tv_nsec / 1000000, headersLength);
  int head = snprintf(command, sizeof command, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%ld\r\n%s%s\n", strlen(channel), channel,
                      lineLength + headersLength + 1 + settings.bytes, line, headers);
  if (head + settings.bytes + 2 > FRAME_BYTES) fail("a body of %ld bytes is too long", settings.bytes);
  put_body(command + head, room, number, nowUs);
  memcpy(command + head + settings.bytes, "\r\n", 2);
  queue(client, command, head + settings.bytes + 2, 0);
}

void send_message(struct client *client, const char *receipt, long room, long number) {
  if (is_publisher(client)) return publish_message(client, room, number);
  char frame[FRAME_BYTES];
  int head = snprintf(frame, sizeof frame, "SEND\ndestination:%s\ncontent-type:application/json\ncontent-length:%ld\n%s\n",
                      destination(settings.send, room), settings.bytes, receipt);
  if (head + settings.bytes >= FRAME_BYTES) fail("a body of %ld bytes is too long", settings.bytes);
  put_body(frame + head, room, number, nowUs);
  frame[head + settings.bytes] = 0;
  queue(client, frame, head + settings.bytes + 1, TEXT);
}

void subscribe(struct client *client, long subscription, const char *more) {
  send_frame(client, "SUBSCRIBE\nid:%s\ndestination:%s\n%s\n", id_of(subscription),
             destination(settings.subscribe, subscription / settings.members), more);
}

void flush(struct client *client) {
  client->dirty = 0;
  while (client->outAt < client->outBytes) {
    long sent = send(client->fd, client->out + client->outAt, client->outBytes - client->outAt, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) fail("send: %s", strerror(errno));
    client->outAt += sent;
  }
  client->outAt = client->outBytes = 0;
}

void flush_all(void) {
  for (long i = 0; i < dirtyCount; i++) flush(dirty[i]);
  dirtyCount = 0;
}
