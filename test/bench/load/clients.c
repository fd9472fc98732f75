#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20, EVENTS = 1024, WAIT_MS = 20 };

struct client *clients;
int64_t nowUs, beganUs;
int done;

static const struct mode *mode;
static int poll_fd;
static long opened, live;

long subscription_of(const struct client *client, long room) {
  long first = room * settings.members;
  int ahead = (client->index - (int)first) % (int)settings.connections;
  return first + (ahead < 0 ? ahead + settings.connections : ahead);
}

int is_publisher(const struct client *client) {
  return settings.redisPort && client->index >= settings.connections && !is_stalled(client);
}

static long all(void) { return settings.connections + settings.senders + settings.stalled; }

static void watch(struct client *client) {
  // Told once of what comes, and read to its end: half of what asking again and again would take.
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

void stop_reading(struct client *client) { epoll_ctl(poll_fd, EPOLL_CTL_DEL, client->fd, 0); }
void read_again(struct client *client) { watch(client); }

static void open_next(void) {
  struct client *client = &clients[opened];
  client->index = (int)opened++;
  long port = is_publisher(client) ? settings.redisPort : settings.port;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int on = 1;
  inet_pton(AF_INET, settings.host, &address.sin_addr);
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (client->fd < 0) fail("socket: %s", strerror(errno));
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (is_stalled(client)) keep_small(client->fd);
  if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
    fail("connect: %s", strerror(errno));
  watch(client);
}

static void become_live(struct client *client) {
  client->state = LIVE;
  if (++live < all()) return;
  setupMs = (nowUs - beganUs) / 1000.0;
  setupCpuMs = cpu_ms(settings.pid) - setupCpuMs;
  if (mode->begin) mode->begin();
  fprintf(stderr, "live\n");
}

// The message-id that subscribers of a room resume after: a line of the file for each room.
static const char *resume_id(long room) {
  static char(*ids)[300];
  if (!*settings.resume) return 0;
  if (!ids) {
    FILE *file = fopen(settings.resume, "r");
    ids = calloc(settings.rooms, sizeof *ids);
    for (long r = 0; r < settings.rooms; r++)
      if (!file || fscanf(file, "%299s", ids[r]) != 1) fail("%s has no line for room %ld", settings.resume, r);
    fclose(file);
  }
  return ids[room];
}

static void greeted(struct client *client) {
  long subscriptions = settings.rooms * settings.members;
  client->state = SUBSCRIBING;
  if (is_stalled(client)) {
    client->receiptsDue = settings.receipts;
    subscribe(client, stalled_subscription(client), settings.receipts ? "receipt:s\n" : "");
  } else if (client->index < settings.connections)
    for (long s = client->index; s < subscriptions; s += settings.connections) {
      const char *id = resume_id(s / settings.members);
      char more[600] = "";
      if (settings.receipts) strcpy(more, "receipt:s\n");
      if (id) snprintf(more + strlen(more), 500, "last-message-id:%s\n", id);
      client->receiptsDue += settings.receipts;
      subscribe(client, s, more);
    }
  if (client->receiptsDue == 0) become_live(client);
}

static void take(struct client *client, const struct frame *frame) {
  struct tail tail;
  if (frame->opcode == PING) return queue(client, frame->payload, frame->length, PONG);
  if (frame->opcode == CLOSE && is_stalled(client)) return stalled_closed(client, frame);
  if (frame->opcode == CLOSE) fail("client %d was closed: %.*s", client->index, (int)frame->length, frame->payload);
  if (frame->length < 2) return;
  switch (frame->payload[0]) {
  case 'M':
    if (!read_tail(frame->payload, frame->length, &tail)) fail("a body is not one of ours");
    if (is_stalled(client)) return stalled_message(client, &tail, frame);
    deliveries++;
    if (mode->message) mode->message(client, &tail);
    return;
  case 'C':
    return greeted(client);
  case 'R':
    if (client->state == SUBSCRIBING && --client->receiptsDue == 0) become_live(client);
    else if (client->state == LIVE && mode->receipt) mode->receipt(client);
    return;
  case 'E':
    if (is_stalled(client)) return;
    // Falls through.
  default:
    fail("client %d got %.*s", client->index, (int)frame->length, frame->payload);
  }
}

/** @returns how many bytes were used. */
static long consume(struct client *client, const char *bytes, long length) {
  long at = 0, size;
  struct frame frame;
  if (is_publisher(client)) {
    // How many subscribers had it; a complaint begins otherwise.
    if (bytes[0] == '-') fail("Redis said: %.*s", (int)length, bytes);
    return length;
  }
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

/** @returns whether there may be more. */
static int read_some(struct client *client) {
  static char bytes[READ_BYTES];
  long room = READ_BYTES - client->inBytes;
  if (client->inBytes > 0) memcpy(bytes, client->in, client->inBytes);
  long got = recv(client->fd, bytes + client->inBytes, room, 0);
  if (got < 0 && errno == EAGAIN) return 0;
  if (got <= 0 && is_stalled(client)) {
    stop_reading(client);
    client->state = GONE;
    return 0;
  }
  if (got <= 0) fail("client %d: connection lost: %s", client->index, got < 0 ? strerror(errno) : "closed");
  long length = client->inBytes + got, used = consume(client, bytes, length);
  client->inBytes = length - used;
  if (client->inBytes > client->inRoom) client->in = realloc(client->in, client->inRoom = client->inBytes);
  if (client->inBytes > 0) memcpy(client->in, bytes + used, client->inBytes);
  // The end may have come with the last of it, and is not told once more.
  return got == room || is_stalled(client);
}

static void writable(struct client *client) {
  if (client->state == CONNECTING && is_publisher(client)) become_live(client);
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
  long count = all();
  mode = chosen;
  poll_fd = epoll_create1(0);
  clients = calloc(count, sizeof *clients);
  beganUs = clock_us();
  setupCpuMs = cpu_ms(settings.pid);
  while (!done) {
    nowUs = clock_us();
    if (nowUs > beganUs + settings.limitMs * 1000) fail("not done within %ld ms", settings.limitMs);
    while (opened < count && opened < live + settings.burst) open_next();
    if (live == count && mode->tick) mode->tick();
    beat();
    flush_all();
    // What comes meanwhile is asked for at once: a turn for each message would make the generator the busier one.
    if (mode->gatherUs > 0 && live == count) usleep(mode->gatherUs);
    int ready = epoll_wait(poll_fd, events, EVENTS, WAIT_MS);
    nowUs = clock_us();
    for (int i = 0; i < ready && !done; i++) {
      struct client *client = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) writable(client);
      if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        while (read_some(client)) continue;
    }
  }
}
