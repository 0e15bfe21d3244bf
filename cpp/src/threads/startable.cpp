// startable_team(): how many threads the system allows a team to have now. OpenMP ends the process
// if it cannot start a thread. So when a thread needs a larger team than before, this file first
// starts the missing threads, with the stack size of OpenMP's, and ends them. In rare cases another
// program takes their place before OpenMP starts its own.
#include "threads/parallel.hpp"

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <unistd.h>
#endif
#ifdef __linux__
#include <sys/syscall.h>
#endif

namespace fastmlp::detail {
namespace {

#if defined(__unix__) || defined(__APPLE__)

/// The stack of OpenMP's threads in bytes, by OMP_STACKSIZE, such as "16 M"; 0 for the system's.
std::size_t stack_size() noexcept {
  const char* text = std::getenv("OMP_STACKSIZE");  // NOLINT(concurrency-mt-unsafe)
  if (text == nullptr) return 0;
  char* unit = nullptr;
  const std::size_t size = std::strtoul(text, &unit, 10);
  while (*unit == ' ') ++unit;
  switch (*unit | 0x20) {  // in lower case
    case 'b':
      return size;
    case 'm':
      return size << 20;
    case 'g':
      return size << 30;
    default:  // kilobytes
      return size << 10;
  }
}

// Read when the library is loaded, as OpenMP does: later, another thread may change the
// environment.
const std::size_t kStackSize = stack_size();

struct Trial {
  std::mutex* gate;
  pthread_t thread;
  long id = 0;  // the system's number of the thread

  static void* run(void* trial) {
    auto& self = *static_cast<Trial*>(trial);
#ifdef __linux__
    self.id = syscall(SYS_gettid);
#endif
    const std::lock_guard<std::mutex> wait(*self.gate);
    return nullptr;
  }

  void end() {
    pthread_join(thread, nullptr);
#ifdef __linux__
    // The system counts the thread against its limits for some microseconds more.
    for (int i = 0; i < 200 && syscall(SYS_tgkill, getpid(), id, 0) == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
#endif
  }
};

/// Starts up to n threads, which all live at the same time. Ends them and returns their number.
int try_threads(int n) {
  std::mutex gate;
  std::vector<Trial> trials(static_cast<std::size_t>(n), Trial{&gate, {}});
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return 0;
  // Like OpenMP, ignores a size that is not allowed.
  if (kStackSize > 0) pthread_attr_setstacksize(&attributes, kStackSize);
  std::size_t started = 0;
  {
    const std::lock_guard<std::mutex> closed(gate);
    while (started < trials.size() &&
           pthread_create(&trials[started].thread, &attributes, &Trial::run, &trials[started]) == 0)
      ++started;
  }
  pthread_attr_destroy(&attributes);
  for (std::size_t i = 0; i < started; ++i) trials[i].end();
  return static_cast<int>(started);
}

#else
int try_threads(int n) { return n; }
#endif

}  // namespace

int startable_team(int size) {
  using Clock = std::chrono::steady_clock;
  struct Largest {
    int size = 1;
    Clock::time_point next_trial;
  };
  static thread_local Largest largest;
  if (size <= largest.size) return size;
  const Clock::time_point now = Clock::now();
  if (now < largest.next_trial) return largest.size;
  const int missing = size - largest.size, started = try_threads(missing);
  if (started < missing) largest.next_trial = now + std::chrono::seconds(1);
  return largest.size += started;
}

}  // namespace fastmlp::detail
