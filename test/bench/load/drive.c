#include "load.h"
#include <stdlib.h>

// Keeps `window` messages in flight in each of `active` rooms: a message that all members have makes room for the next one,
// in its own room or, with fewer active rooms than rooms, in the next one of the round.

enum { PROBE_EVERY_US = 500000, TELL_EVERY_US = 100000, STALL_US = 20000000, GATHER_US = 500 };

static long ringSize, waiting, inFlight;
static int measuring, ended;
static uint32_t *lastNumbers, *got, *published, *firstCounted;
static int64_t *sentAt, probeAtUs, endWarmUs, movedUs;

static void publish(long room) {
  long number = ++published[room], slot = room * ringSize + number % ringSize;
  got[slot] = 0;
  sentAt[slot] = nowUs;
  send_message(&clients[settings.connections + room % settings.senders], "", room, number);
}

static void begin_driving(void) {
  waiting = 0;
  endWarmUs = nowUs + settings.warmMs * 1000;
  for (long room = 0; room < settings.rooms; room++) firstCounted[room] = published[room] + 1;
  inFlight = settings.active * settings.window;
  for (long room = 0; room < settings.active; room++)
    for (long i = 0; i < settings.window; i++) publish(room);
}

static void begin(void) {
  long rooms = settings.rooms;
  for (ringSize = 1; ringSize < 2 * settings.window + 64; ringSize *= 2) continue;
  waiting = rooms * settings.members;
  lastNumbers = calloc(waiting, sizeof *lastNumbers);
  got = calloc(rooms * ringSize, sizeof *got);
  sentAt = calloc(rooms * ringSize, sizeof *sentAt);
  published = calloc(rooms, sizeof *published);
  firstCounted = calloc(rooms, sizeof *firstCounted);
  movedUs = nowUs;
  if (settings.stalled) stall_all();
  // Else the first message of each subscription tells that it counts.
  if (settings.receipts) begin_driving();
}

static void message(struct client *client, const struct tail *tail) {
  if (!lastNumbers || tail->room >= settings.rooms) fail("a message of an earlier run came");
  uint32_t *last = &lastNumbers[subscription_of(client, tail->room)];
  if (*last > 0 && tail->number != *last + 1) orderFaults++;
  if (*last == 0 && waiting > 0 && --waiting == 0) begin_driving();
  *last = tail->number;
  if (endWarmUs == 0 || tail->number < firstCounted[tail->room]) return;
  long slot = tail->room * ringSize + tail->number % ringSize;
  if (++got[slot] < settings.members) return;
  messages++;
  movedUs = nowUs;
  take_latency(nowUs - sentAt[slot]);
  if (ended) inFlight--;
  else publish((tail->room + settings.active) % settings.rooms);
}

static void probe(void) {
  if (nowUs < probeAtUs) return;
  probeAtUs = nowUs + PROBE_EVERY_US;
  for (long room = 0; room < settings.rooms; room++)
    for (long m = 0; m < settings.members; m++)
      if (lastNumbers[room * settings.members + m] == 0) {
        publish(room);
        break;
      }
}

// The next message tells what was left out before it.
static void tell_gaps(void) {
  if (nowUs < probeAtUs) return;
  probeAtUs = nowUs + TELL_EVERY_US;
  inFlight += settings.rooms;
  for (long room = 0; room < settings.rooms; room++) publish(room);
}

static void tick(void) {
  if (waiting > 0) return probe();
  if (nowUs > movedUs + STALL_US) fail("a message did not reach all within 20 s");
  if (!measuring && nowUs >= endWarmUs) {
    begin_measure();
    measuring = 1;
  } else if (measuring && !ended && messages >= settings.expect && measured_enough()) {
    end_measure();
    ended = 1;
  }
  // What is on its way arrives before anyone goes: the next contender must not share the machine with it.
  if (!ended || inFlight > 0) return;
  done = settings.stalled == 0 || all_caught_up(published);
  if (!done) tell_gaps();
}

const struct mode drive = {begin, message, 0, tick, GATHER_US};
