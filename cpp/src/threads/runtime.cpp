// The settings of the process: its threads, and what fork() does to them. The instruction set is in
// dispatch.cpp.
#include <fastmlp/runtime.hpp>

#include "check.hpp"
#include "threads/ask.hpp"
#include "threads/parallel.hpp"
#include "threads/processors.hpp"
#include "threads/this_process.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fastmlp {
namespace detail {
namespace {

// Starting a team and waiting for its last thread takes 5 to 50 us; a thread does this many flops
// in about 50 us. (With a quarter of this, two threads were 6 % faster than one on small layers,
// for twice the processor time.)
constexpr double kMinWork = 4e6;

// Python reads the environment at import, when nobody changes it.

double min_work_from_environment() {
  const char* text = std::getenv("FASTMLP_MIN_WORK");  // NOLINT(concurrency-mt-unsafe)
  if (text == nullptr || *text == '\0') return kMinWork;
  return check_min_work(text);
}

int default_threads() {
  if (!kHasOpenMP) return 1;
  const char* text = std::getenv("OMP_NUM_THREADS");  // NOLINT(concurrency-mt-unsafe)
  if (text != nullptr) {
    // "4" or "4,2" (one number per nesting level)
    const long n = std::strtol(text, nullptr, 10);
    if (n >= 1) return static_cast<int>(std::min(n, 1024L));
  }
  const int affinity = processors_by_affinity();
  const int quota = processors_by_quota();
  return quota > 0 ? std::min(affinity, quota) : affinity;
}

ThreadState& settings() {
  static ThreadState state{{default_threads()}, min_work_from_environment(), {false}, {1}};
  return state;
}

[[gnu::noinline]] ThreadState& first_use() {
  ThreadState& state = settings();
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, [] {
    settings().forked = true;
    ++fork_generation;
  });
#endif
  return state;
}

}  // namespace

// Not declared initial-exec, which would save the call of __tls_get_addr: a library that dlopen()
// loads would then need room in the static TLS block, of which glibc has little and musl none.
Team*& team_of_this_thread() {
  static thread_local Team* team = nullptr;
  return team;
}

bool& is_asking() {
  static thread_local bool asking = false;
  return asking;
}

std::uint64_t number_of_this_thread() {
  static std::atomic<std::uint32_t> last{0};
  static thread_local const std::uint32_t number = ++last;
  return std::uint64_t{fork_generation.load(std::memory_order_relaxed)} << 32 | number;
}

#ifdef _OPENMP
void run_with_way_out(std::jmp_buf& way_out, void (*run)(const void*), const void* context) {
  if (setjmp(way_out) == 0) run(context);  // NOLINT(cert-err52-cpp): parallel.hpp says why
}
#endif

ThreadState& thread_state() {
  static ThreadState& state = first_use();  // once; a call of the library asks a dozen times
  return state;
}

}  // namespace detail

std::string_view version() { return FASTMLP_VERSION; }

int num_threads() { return detail::thread_state().limit.load(); }

void set_num_threads(int n) {
  detail::check_num_threads(n);
  if (detail::kHasOpenMP) detail::thread_state().limit.store(n);
}

int last_team_size() { return detail::thread_state().last_team.load(); }

bool has_openmp() { return detail::kHasOpenMP; }

}  // namespace fastmlp
