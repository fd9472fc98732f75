#include "load.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// Latencies are counted in steps of 10 µs, up to 20 s.
enum { STEP_US = 10, STEPS = 2000000 };

// A server that others keep from running is measured until it had this share of a core, or for so many times as long.
#define LEAST_SHARE 0.2
enum { PATIENCE = 5 };

static uint32_t *counts;
static long samples;
static int64_t fromUs;
static double fromCpuMs, fromOwnMs;
static char measured[300];

long deliveries, messages, orderFaults;
double setupMs, setupCpuMs;

int64_t clock_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

double cpu_ms(long pid) {
  char path[64], text[1024];
  long user, kernel;
  if (pid == 0) return 0;
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *file = fopen(path, "r");
  if (!file) fail("process %ld is gone", pid);
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  // The name before it may hold anything.
  const char *fields = strrchr(text, ')');
  if (!fields || sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &kernel) != 2)
    fail("%s cannot be read", path);
  return (user + kernel) * 1000.0 / sysconf(_SC_CLK_TCK);
}

static double own_ms(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

void take_latency(int64_t us) {
  long step = us < 0 ? 0 : us / STEP_US;
  counts[step < STEPS ? step : STEPS - 1]++;
  samples++;
}

static double quantile_ms(double part) {
  long before = 0, wanted = (long)(samples * part);
  for (long step = 0; step < STEPS; step++)
    if ((before += counts[step]) > wanted) return step * STEP_US / 1000.0;
  return 0;
}

void begin_measure(void) {
  if (!counts) counts = malloc(STEPS * sizeof *counts);
  memset(counts, 0, STEPS * sizeof *counts);
  samples = deliveries = messages = 0;
  fromUs = clock_us();
  fromOwnMs = own_ms();
  fromCpuMs = cpu_ms(settings.pid);
}

int measured_enough(void) {
  int64_t goneUs = clock_us() - fromUs, wantedUs = settings.ms * 1000;
  if (goneUs < wantedUs) return 0;
  return settings.pid == 0 || goneUs > PATIENCE * wantedUs || cpu_ms(settings.pid) - fromCpuMs > settings.ms * LEAST_SHARE;
}

void end_measure(void) {
  double ms = (clock_us() - fromUs) / 1000.0;
  snprintf(measured, sizeof measured,
           "\"ms\":%.1f,\"deliveries\":%ld,\"messages\":%ld,\"cpuMs\":%.1f,\"ownShare\":%.3f,\"p50Ms\":%.2f,\"p99Ms\":%.2f", ms,
           deliveries, messages, cpu_ms(settings.pid) - fromCpuMs, (own_ms() - fromOwnMs) / ms, quantile_ms(0.5),
           quantile_ms(0.99));
}

void print_result(void) {
  printf("{%s,\"setupMs\":%.1f,\"setupCpuMs\":%.1f,\"orderFaults\":%ld,\"caughtUp\":%ld,\"skipped\":%ld,\"turnedAway\":%ld}\n",
         measured, setupMs, setupCpuMs, orderFaults, caughtUp, skipped, turnedAway);
}

void fail(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, values);
  fprintf(stderr, "\n");
  exit(1);
}
