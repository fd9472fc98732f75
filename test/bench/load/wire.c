#include "load.h"
#include <stdio.h>
#include <string.h>

static const unsigned char MASK[4] = {0x5a, 0xc3, 0x96, 0x3d};

long next_frame(const char *text, long length, struct frame *frame) {
  const unsigned char *bytes = (const unsigned char *)text;
  long head = 2, payload;
  if (length < 2) return 0;
  // Whole frames only: nothing that is measured here splits its messages.
  if ((bytes[0] & 0xf0) != 0x80 || (bytes[1] & 0x80)) return -1;
  payload = bytes[1];
  if (payload == 126) {
    if (length < 4) return 0;
    head = 4;
    payload = bytes[2] << 8 | bytes[3];
  } else if (payload == 127) {
    if (length < 10) return 0;
    head = 10;
    payload = 0;
    for (int i = 2; i < 10; i++) payload = payload << 8 | bytes[i];
    if (payload < 0 || payload > 1L << 30) return -1;
  }
  if (length < head + payload) return 0;
  frame->opcode = bytes[0] & 15;
  frame->payload = text + head;
  frame->length = payload;
  return head + payload;
}

long put_frame(char *out, int opcode, const char *payload, long length) {
  long head = 2;
  out[0] = (char)(0x80 | opcode);
  if (length < 126) {
    out[1] = (char)(0x80 | length);
  } else if (length < 65536) {
    head = 4;
    out[1] = (char)(0x80 | 126);
    out[2] = (char)(length >> 8);
    out[3] = (char)length;
  } else {
    head = 10;
    out[1] = (char)(0x80 | 127);
    for (int i = 0; i < 8; i++) out[2 + i] = (char)(length >> 8 * (7 - i));
  }
  memcpy(out + head, MASK, 4);
  head += 4;
  for (long i = 0; i < length; i++) out[head + i] = (char)(payload[i] ^ MASK[i & 3]);
  return head + length;
}

static int64_t digits(const char *text, int count) {
  int64_t value = 0;
  for (int i = 0; i < count; i++) value = value * 10 + (text[i] - '0');
  return value;
}

int read_tail(const char *payload, long length, struct tail *tail) {
  const char *end = payload + length;
  // Some end a frame with a line break after its NUL.
  while (end > payload && (end[-1] == '\n' || end[-1] == '\0')) end--;
  if (end - payload < TAIL_BYTES || end[-1] != '}' || memcmp(end - TAIL_BYTES, "\"r\":", 4)) return 0;
  tail->room = digits(end - 44, 7) - BASE_ROOM;
  tail->time = end - 32;
  tail->number = digits(end - 11, 10) - BASE_NUMBER;
  return 1;
}

int64_t sent_us(const struct tail *tail) { return digits(tail->time, 16) - BASE_US; }

void put_body(char *out, long room, long number, int64_t nowUs) {
  char start[64], end[128];
  int head = snprintf(start, sizeof start, "{\"room\":\"r%ld\",\"pad\":\"", room);
  snprintf(end, sizeof end, "\"r\":%07ld,\"t\":%016ld,\"n\":%010ld}", BASE_ROOM + room, BASE_US + (long)nowUs,
           BASE_NUMBER + number);
  memset(out, 'x', settings.bytes);
  memcpy(out, start, head);
  memcpy(out + settings.bytes - TAIL_BYTES - 2, "\",", 2);
  memcpy(out + settings.bytes - TAIL_BYTES, end, TAIL_BYTES);
}
