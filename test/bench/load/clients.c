#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20, FRAME_BYTES = 4096, EVENTS = 1024, WAIT_MS = 20 };

struct client *clients;
int64_t nowUs, beganUs;
int done;

static const struct mode *mode;
static int poll_fd;
static long opened, live, dirtyCount;
static struct client **dirty;

int client_of(long subscription) { return (int)(subscription % settings.connections); }

long subscription_of(const struct client *client, long room) {
  long first = room * settings.members, ahead = (client->index - first) % settings.connections;
  return first + (ahead < 0 ? ahead + settings.connections : ahead);
}

const char *destination(const char *pattern, long room) {
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

static void queue(struct client *client, const char *bytes, long length, int opcode) {
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

void send_message(struct client *client, const char *receipt, const struct tail *tail) {
  char frame[FRAME_BYTES];
  int head = snprintf(frame, sizeof frame, "SEND\ndestination:%s\ncontent-type:application/json\ncontent-length:%ld\n%s\n",
                      destination(settings.send, tail->room), settings.bytes, receipt);
  if (head + settings.bytes >= FRAME_BYTES) fail("a body of %ld bytes is too long", settings.bytes);
  put_body(frame + head, tail);
  frame[head + settings.bytes] = 0;
  queue(client, frame, head + settings.bytes + 1, TEXT);
}

static void watch(struct client *client, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  if (epoll_ctl(poll_fd, operation, client->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

static void flush(struct client *client) {
  client->dirty = 0;
  while (client->outAt < client->outBytes) {
    long sent = send(client->fd, client->out + client->outAt, client->outBytes - client->outAt, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return watch(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    if (sent < 0) fail("send: %s", strerror(errno));
    client->outAt += sent;
  }
  client->outAt = client->outBytes = 0;
}

static void flush_all(void) {
  for (long i = 0; i < dirtyCount; i++) flush(dirty[i]);
  dirtyCount = 0;
}

static void open_next(void) {
  struct client *client = &clients[opened];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(settings.port)};
  int on = 1;
  inet_pton(AF_INET, settings.host, &address.sin_addr);
  client->index = (int)opened++;
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (client->fd < 0) fail("socket: %s", strerror(errno));
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
    fail("connect: %s", strerror(errno));
  watch(client, EPOLL_CTL_ADD, EPOLLOUT);
}

static void become_live(struct client *client) {
  client->state = LIVE;
  if (++live < settings.connections + settings.senders) return;
  setupMs = (nowUs - beganUs) / 1000.0;
  setupCpuMs = cpu_ms(settings.pid) - setupCpuMs;
  fprintf(stderr, "live\n");
  if (mode->begin) mode->begin();
}

void subscribe(struct client *client, long subscription, const char *more) {
  send_frame(client, "SUBSCRIBE\nid:%s\ndestination:%s\n%s\n", id_of(subscription),
             destination(settings.subscribe, subscription / settings.members), more);
}

static void greeted(struct client *client) {
  long subscriptions = settings.rooms * settings.members;
  char resume[512] = "";
  client->state = SUBSCRIBING;
  if (*settings.resume) snprintf(resume, sizeof resume, "last-message-id:%s\n", settings.resume);
  if (client->index < settings.connections)
    for (long s = client->index; s < subscriptions; s += settings.connections) {
      char more[600];
      snprintf(more, sizeof more, "%s%s", settings.receipts ? "receipt:s\n" : "", resume);
      client->receiptsDue += settings.receipts;
      subscribe(client, s, more);
    }
  if (client->receiptsDue == 0) become_live(client);
}

static void take(struct client *client, const struct frame *frame) {
  struct tail tail;
  if (frame->opcode == PING) return queue(client, frame->payload, frame->length, PONG);
  if (frame->opcode == CLOSE) fail("client %d was closed: %.*s", client->index, (int)frame->length, frame->payload);
  if (frame->length < 2) return;
  switch (frame->payload[0]) {
  case 'M':
    if (!read_tail(frame->payload, frame->length, &tail)) fail("a body is not one of ours");
    deliveries++;
    if (mode->message) mode->message(client, &tail);
    return;
  case 'C':
    return greeted(client);
  case 'R':
    if (client->state == SUBSCRIBING && --client->receiptsDue == 0) become_live(client);
    else if (client->state == LIVE && mode->receipt) mode->receipt(client);
    return;
  default:
    fail("client %d got %.*s", client->index, (int)frame->length, frame->payload);
  }
}

/** @returns how many bytes were used. */
static long consume(struct client *client, const char *bytes, long length) {
  long at = 0, size;
  struct frame frame;
  if (client->state == UPGRADING) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    if (length < 12 || memcmp(bytes + 9, "101", 3)) fail("no upgrade: %.*s", (int)length, bytes);
    at = end + 4 - bytes;
    client->state = GREETING;
    send_frame(client, "CONNECT\naccept-version:1.2\nhost:%s\nheart-beat:%ld,%ld\n\n", settings.host, settings.heartBeatMs,
               settings.heartBeatMs);
  }
  while ((size = next_frame(bytes + at, length - at, &frame)) > 0) {
    take(client, &frame);
    at += size;
  }
  if (size < 0) fail("client %d got what is no WebSocket frame", client->index);
  return at;
}

static void read_all(struct client *client) {
  static char bytes[READ_BYTES];
  char *start = bytes;
  if (client->inBytes > 0) memcpy(bytes, client->in, client->inBytes);
  long got = recv(client->fd, bytes + client->inBytes, READ_BYTES - client->inBytes, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) fail("client %d: connection lost: %s", client->index, got < 0 ? strerror(errno) : "closed");
  long length = client->inBytes + got, used = consume(client, start, length);
  client->inBytes = length - used;
  if (client->inBytes > client->inRoom) client->in = realloc(client->in, client->inRoom = client->inBytes);
  if (client->inBytes > 0) memcpy(client->in, bytes + used, client->inBytes);
}

static void writable(struct client *client) {
  if (client->state == CONNECTING) {
    char request[512];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s:%ld\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Protocol: v12.stomp\r\n\r\n",
                          settings.path, settings.host, settings.port);
    client->state = UPGRADING;
    queue(client, request, length, 0);
  }
  watch(client, EPOLL_CTL_MOD, EPOLLIN);
  if (!client->dirty && client->outBytes > 0) flush(client);
}

static void beat(void) {
  static long next;
  static int64_t dueUs;
  // A hundredth of the clients at a time, so that all have sent one when 80 % of the interval are over.
  if (settings.heartBeatMs == 0 || nowUs < dueUs || live < settings.connections) return;
  dueUs = nowUs + settings.heartBeatMs * 8;
  for (long i = 0; i <= settings.connections / 100; i++) send_frame(&clients[next++ % settings.connections], "\n");
}

void run_clients(const struct mode *chosen) {
  struct epoll_event events[EVENTS];
  long count = settings.connections + settings.senders;
  mode = chosen;
  poll_fd = epoll_create1(0);
  clients = calloc(count, sizeof *clients);
  dirty = calloc(count, sizeof *dirty);
  beganUs = clock_us();
  setupCpuMs = cpu_ms(settings.pid);
  while (!done) {
    nowUs = clock_us();
    if (nowUs > beganUs + settings.limitMs * 1000) fail("not done within %ld ms", settings.limitMs);
    while (opened < count && opened < live + settings.burst) open_next();
    if (live == count && mode->tick) mode->tick();
    beat();
    flush_all();
    int ready = epoll_wait(poll_fd, events, EVENTS, WAIT_MS);
    nowUs = clock_us();
    for (int i = 0; i < ready && !done; i++) {
      struct client *client = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) writable(client);
      if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read_all(client);
    }
  }
}
