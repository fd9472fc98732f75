#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// load MODE name=value… : drive, listen, churn, send; `scan` counts the frames of its standard input, for a test.
// The result is one line of JSON; "live" on standard error says that all clients are subscribed.

struct settings settings = {
    .host = "127.0.0.1", .path = "/ws", .subscribe = "/topic/r{}", .send = "/topic/r{}", .publish = "r{}", .id = "shared", .resume = "",
    .rooms = 1, .members = 1, .window = 1, .bytes = 200, .burst = 200, .receipts = 1, .warmMs = 500, .ms = 2000,
    .limitMs = 120000};

static const struct {
  const char *name;
  long *number;
  const char **text;
} names[] = {
    {"host", 0, &settings.host}, {"path", 0, &settings.path}, {"subscribe", 0, &settings.subscribe},
    {"send", 0, &settings.send}, // With a port of Redis, messages are published there, to these channels, instead of sent.
    {"publish", 0, &settings.publish}, {"redisPort", &settings.redisPort, 0}, // shared or unique; a file with a message-id for each room, to resume after.
    {"id", 0, &settings.id}, {"resume", 0, &settings.resume},
    {"port", &settings.port, 0},
    // Rooms, members of each, and the connections that all these subscriptions are dealt to (default: one each).
    {"rooms", &settings.rooms, 0}, {"members", &settings.members, 0}, {"connections", &settings.connections, 0},
    // Connections that send (drive), messages in flight in a room, rooms that have any at a time (default: all).
    {"senders", &settings.senders, 0}, {"window", &settings.window, 0}, {"active", &settings.active, 0},
    // Connections besides, subscribed to a room each, that read nothing while the others are measured (drive).
    {"stalled", &settings.stalled, 0},
    // Of a body; clients that connect at the same time; whether the server answers SUBSCRIBE; 0: no heart-beats.
    {"bytes", &settings.bytes, 0}, {"burst", &settings.burst, 0}, {"receipts", &settings.receipts, 0},
    {"heartBeatMs", &settings.heartBeatMs, 0}, {"warmMs", &settings.warmMs, 0}, {"ms", &settings.ms, 0},
    // Deliveries before measuring begins, and all of them; 0: until SIGTERM (listen). Messages to be measured at least (drive).
    {"skip", &settings.skip, 0}, {"expect", &settings.expect, 0},
    // The server, for its CPU time; when to give up.
    {"pid", &settings.pid, 0}, {"limitMs", &settings.limitMs, 0}};

static void set(const char *argument) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t length = strlen(names[i].name);
    if (strncmp(argument, names[i].name, length) || argument[length] != '=') continue;
    if (names[i].text) *names[i].text = argument + length + 1;
    else *names[i].number = atol(argument + length + 1);
    return;
  }
  fail("%s is no setting", argument);
}

// Reads in parts of every size, so that frames are cut everywhere.
static void scan(void) {
  static char bytes[1 << 20];
  long length = 0, at = 0, frames = 0, bodies = 0, sum = 0, got, size = 0;
  struct frame frame;
  struct tail tail;
  for (int part = 1; (got = read(0, bytes + length, part)) > 0; part = part % 97 + 1) {
    length += got;
    while ((size = next_frame(bytes + at, length - at, &frame)) > 0) {
      at += size;
      frames++;
      if (!read_tail(frame.payload, frame.length, &tail)) continue;
      bodies++;
      sum += tail.number + tail.room + sent_us(&tail);
    }
    if (size < 0) break;
  }
  printf("{\"frames\":%ld,\"bodies\":%ld,\"sum\":%ld,\"left\":%ld,\"valid\":%s}\n", frames, bodies, sum, length - at,
         size < 0 ? "false" : "true");
}

int main(int count, char **arguments) {
  struct rlimit files;
  if (count < 2) fail("which mode?");
  for (int i = 2; i < count; i++) set(arguments[i]);
  const char *mode = arguments[1];
  int drives = !strcmp(mode, "drive");
  if (settings.connections == 0) settings.connections = settings.rooms * settings.members;
  if (settings.members > settings.connections) fail("a connection would be in a room twice");
  if (settings.active == 0) settings.active = settings.rooms;
  if (drives && settings.senders == 0) settings.senders = settings.active < 8 ? settings.active : 8;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  // What is resumed comes before anyone is live.
  begin_measure();
  if (drives) run_clients(&drive);
  else if (!strcmp(mode, "listen")) run_clients(&listening);
  else if (!strcmp(mode, "churn")) run_clients(&churn);
  else if (!strcmp(mode, "send")) run_clients(&sending);
  else if (!strcmp(mode, "scan")) scan();
  else fail("%s is no mode", mode);
  if (strcmp(mode, "scan")) print_result();
  return 0;
}
