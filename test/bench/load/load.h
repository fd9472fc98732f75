// The load generator of the bench: STOMP clients over WebSocket, many in one thread. main.c says how it is called.
#include <stdint.h>

struct settings {
  const char *host, *path, *subscribe, *send, *publish, *id, *resume;
  long port, redisPort, rooms, members, connections, senders, stalled, window, active, bytes, burst, receipts, heartBeatMs;
  long warmMs, ms, skip, expect, pid, limitMs;
};
extern struct settings settings;

// ---- wire.c: bytes, no sockets

struct frame {
  int opcode;
  const char *payload;
  long length;
};
enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

// The WebSocket frame that `bytes` begin with. Returns its size on the wire; 0: more bytes are needed; -1: no server may send this.
long next_frame(const char *bytes, long length, struct frame *frame);
// Writes a masked WebSocket frame; `out` has room for `length` + 14. Returns its size.
long put_frame(char *out, int opcode, const char *payload, long length);

// What every body ends with, so that it is found from the end of a frame without reading the headers:
// "r":1000017,"t":1700000000000000,"n":1000000123}
struct tail {
  long room, number;
  // Where sent_us() finds when it was sent: reading it takes as long as all the rest.
  const char *time;
};
// Its numbers keep their length by what is added to them.
enum { TAIL_BYTES = 48, BASE_ROOM = 1000000, BASE_NUMBER = 1000000000 };
#define BASE_US 1000000000000000L
// Returns 0 where the STOMP frame has no such body.
int read_tail(const char *payload, long length, struct tail *tail);
int64_t sent_us(const struct tail *tail);
// Writes a JSON body of settings.bytes bytes.
void put_body(char *out, long room, long number, int64_t nowUs);

// ---- clients.c: connections until they are live

// A publisher is a connection to Redis, and LIVE once it is made.
// GONE is one that stalled and was closed.
enum state { CONNECTING, UPGRADING, GREETING, SUBSCRIBING, LIVE, GONE };
struct client {
  int fd, index, dirty;
  enum state state;
  long receiptsDue;
  char *in, *out;
  long inBytes, inRoom, outBytes, outAt, outRoom;
};

// What a mode does with clients that are live; a hook that it has no use for is NULL.
struct mode {
  void (*begin)(void);
  void (*message)(struct client *client, const struct tail *tail);
  void (*receipt)(struct client *client);
  // Before each wait, at least every 20 ms.
  void (*tick)(void);
  // How long to wait before each look at the sockets, where latency is not what is measured.
  unsigned gatherUs;
};
extern const struct mode drive, listening, churn, sending;

extern struct client *clients;
int is_publisher(const struct client *client);
extern int64_t nowUs, beganUs;
extern int done;

// Connects all and runs the mode until it is done.
void run_clients(const struct mode *mode);
// The subscription that a client has in a room: that of member m is room * members + m, of client number that % connections.
long subscription_of(const struct client *client, long room);
void stop_reading(struct client *client);
void read_again(struct client *client);

// ---- stall.c

int is_stalled(const struct client *client);
long stalled_subscription(const struct client *client);
// Before it connects: as little is kept for it by the kernel as possible.
void keep_small(int fd);
void stall_all(void);
void stalled_message(const struct client *client, const struct tail *tail, const struct frame *frame);
void stalled_closed(struct client *client, const struct frame *frame);
// Has them read, from the first call on. Returns whether each has the newest message of its room or is gone.
int all_caught_up(const uint32_t *published);
// How many have the newest message, what all were told to have missed, how many were closed with 1013.
extern long caughtUp, skipped, turnedAway;

// ---- output.c

// Opcode 0: the bytes are no WebSocket message.
void queue(struct client *client, const char *bytes, long length, int opcode);
void send_frame(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A SEND with a body of settings.bytes; of a publisher, a PUBLISH of the same message in an envelope.
void send_message(struct client *client, const char *receipt, long room, long number);
void subscribe(struct client *client, long subscription, const char *more);
const char *id_of(long subscription);
void flush(struct client *client);
void flush_all(void);

// ---- measure.c

// Monotonic, as process.hrtime is.
int64_t clock_us(void);
// CPU time of a process, user and system.
double cpu_ms(long pid);
void take_latency(int64_t us);
// What is counted in the measured part.
extern long deliveries, messages, orderFaults;
extern double setupMs, setupCpuMs;
void begin_measure(void);
// The measured time is over, and the server had something of it.
int measured_enough(void);
void end_measure(void);
// One line of JSON.
void print_result(void);
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
