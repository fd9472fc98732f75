#include "load.h"
#include <signal.h>
#include <stdlib.h>

static volatile sig_atomic_t told;
static int64_t endWarmUs;

static void tell(int signal) {
  (void)signal;
  told = 1;
}

// ---- listening: somebody else makes the messages. Ends after `expect` deliveries, or when it is told to (SIGTERM).

static uint32_t *lastNumbers;

static void listen_begin(void) { signal(SIGTERM, tell); }

static void listen_message(struct client *client, const struct tail *tail) {
  if (!lastNumbers) lastNumbers = calloc(settings.rooms * settings.members, sizeof *lastNumbers);
  uint32_t *last = &lastNumbers[subscription_of(client, tail->room)];
  if (*last > 0 && tail->number != *last + 1) orderFaults++;
  *last = tail->number;
  take_latency(nowUs - sent_us(tail));
}

static void listen_tick(void) {
  static int skipped;
  if (!skipped && settings.skip > 0 && deliveries >= settings.skip) {
    settings.expect -= deliveries;
    skipped = 1;
    begin_measure();
  }
  done = told || (settings.expect > 0 && (skipped || settings.skip == 0) && deliveries >= settings.expect);
  if (done) end_measure();
}

const struct mode listening = {listen_begin, listen_message, 0, listen_tick, 0};

// ---- the two that wait for RECEIPTs: each client always has `window` frames unanswered

static int64_t *askedUs;

static void timed_tick(void) {
  static int measuring;
  if (!measuring && nowUs >= endWarmUs) {
    begin_measure();
    measuring = 1;
  } else if (measuring && measured_enough()) {
    end_measure();
    done = 1;
  }
}

static void ask_send(struct client *client) {
  static long number;
  send_message(client, "receipt:r\n", client->index % settings.rooms, ++number);
}

// RECEIPTs come in the order of their SENDs, so a ring of times is enough.
static long *asked, *answered;

static void send_begin(void) {
  endWarmUs = nowUs + settings.warmMs * 1000;
  askedUs = calloc(settings.connections * settings.window, sizeof *askedUs);
  asked = calloc(settings.connections, sizeof *asked);
  answered = calloc(settings.connections, sizeof *answered);
  for (long c = 0; c < settings.connections; c++)
    for (long i = 0; i < settings.window; i++) {
      askedUs[c * settings.window + asked[c]++] = nowUs;
      ask_send(&clients[c]);
    }
}

static void send_receipt(struct client *client) {
  long ring = client->index * settings.window;
  messages++;
  take_latency(nowUs - askedUs[ring + answered[client->index]++ % settings.window]);
  askedUs[ring + asked[client->index]++ % settings.window] = nowUs;
  ask_send(client);
}

const struct mode sending = {send_begin, 0, send_receipt, timed_tick, 0};

// ---- churn: each client leaves its first subscription and takes it up again

static void churn_ask(struct client *client) {
  askedUs[client->index] = nowUs;
  send_frame(client, "UNSUBSCRIBE\nid:%s\n\n", id_of(client->index));
  subscribe(client, client->index, "receipt:s\n");
}

static void churn_begin(void) {
  endWarmUs = nowUs + settings.warmMs * 1000;
  askedUs = calloc(settings.connections, sizeof *askedUs);
  for (long c = 0; c < settings.connections; c++) churn_ask(&clients[c]);
}

static void churn_receipt(struct client *client) {
  messages++;
  take_latency(nowUs - askedUs[client->index]);
  churn_ask(client);
}

const struct mode churn = {churn_begin, 0, churn_receipt, timed_tick, 0};
