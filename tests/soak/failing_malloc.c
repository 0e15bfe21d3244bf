// Fails chosen calls of malloc and its relatives; allocations.py preloads it (LD_PRELOAD). Only
// calls that return into the code ranges of add_range() count: those of fastmlp and of libstdc++'s
// operator new, but not those of Python or NumPy.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

static struct {
  uintptr_t begin, end;
} ranges[16];
static int range_count;
static atomic_long number;  // of the next call that counts
static long first = -1, last = -1;

void add_range(uintptr_t begin, uintptr_t end) {
  ranges[range_count].begin = begin;
  ranges[range_count++].end = end;
}

/// From now on, the calls numbered `from` to `to` fail; the next one has number 1.
void fail_calls(long from, long to) {
  number = 1;
  first = from;
  last = to;
}

/// Lets every call succeed again. Returns the number of calls that counted.
long stop_failing(void) {
  first = last = -1;
  return number - 1;
}

static int fails(void* caller) {
  if (first < 0) return 0;
  for (int i = 0; i < range_count; ++i) {
    if ((uintptr_t)caller - ranges[i].begin < ranges[i].end - ranges[i].begin) {
      const long mine = number++;
      if (mine < first || mine > last) return 0;
      errno = ENOMEM;
      return 1;
    }
  }
  return 0;
}

#define CALLER __builtin_return_address(0)

void* malloc(size_t size) { return fails(CALLER) ? NULL : __libc_malloc(size); }
void* calloc(size_t n, size_t size) { return fails(CALLER) ? NULL : __libc_calloc(n, size); }
void* realloc(void* old, size_t size) { return fails(CALLER) ? NULL : __libc_realloc(old, size); }
void* aligned_alloc(size_t unit, size_t size) {
  return fails(CALLER) ? NULL : __libc_memalign(unit, size);
}
int posix_memalign(void** result, size_t unit, size_t size) {
  if (fails(CALLER)) return ENOMEM;
  *result = __libc_memalign(unit, size);
  return *result == NULL ? ENOMEM : 0;
}
char* strdup(const char* text) {
  const size_t size = strlen(text) + 1;
  char* copy = fails(CALLER) ? NULL : __libc_malloc(size);
  return copy == NULL ? NULL : memcpy(copy, text, size);
}
