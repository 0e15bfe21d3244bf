// Calls of the library run without the GIL, and Ctrl-C interrupts them: without_gil, interruptible.
// While the process ends, Python before 3.14 ends every other thread that asks for the GIL. It
// unwinds the thread's stack, and destructors then use Python without the GIL. Here such a thread
// sleeps instead until the process has ended.
#pragma once

#include "pybind11.hpp"

#include <fastmlp/should_stop.hpp>

#include <chrono>
#include <thread>
#include <type_traits>

namespace fastmlp::python {

[[noreturn]] inline void sleep_until_the_end() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// Runs f(), which calls Python and may wait for the GIL. If Python ends the thread during f(), the
/// thread sleeps instead. f must not own Python objects: their destructors would run first.
template <class F>
auto call_python(const F& f) {
  struct SleepIfUnwound {
    bool armed = true;
    ~SleepIfUnwound() {
      if (armed) sleep_until_the_end();
    }
  } guard;
  const auto result = f();
  guard.armed = false;
  return result;
}

/// Releases the GIL for as long as it lives.
class GilReleased {
 public:
  GilReleased() : last_(Py_IsInitialized() == 0), state_(PyEval_SaveThread()) {}
  // Not noexcept: Python may end the thread in it, and would end the whole process otherwise.
  ~GilReleased() noexcept(false) { take(); }  // NOLINT(bugprone-unsafe-to-allow-exceptions)
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

  /// Runs f() with the GIL, and releases it again.
  template <class F>
  auto with_gil(const F& f) {
    take();
    struct ReleaseAgain {
      PyThreadState*& state;
      ~ReleaseAgain() { state = PyEval_SaveThread(); }
    } const release_again{state_};
    return f();
  }

  /// Takes the GIL for a moment, and returns whether the handler of a signal has raised.
  bool signal_arrived() {
    take();
    const bool raised = call_python([] { return PyErr_CheckSignals(); }) != 0;
    state_ = PyEval_SaveThread();
    return raised;
  }

 private:
  void take() {
    // After the end of Python there is no GIL that could be asked for.
    if (!last_ && Py_IsInitialized() == 0) sleep_until_the_end();
    call_python([&] {
      PyEval_RestoreThread(state_);
      return 0;
    });
  }

  // Whether Python was already ending when this was made. This thread held the GIL then, so it is
  // the thread that ends Python, and it may go on.
  const bool last_;
  PyThreadState* state_;
};

/// Runs f() without the GIL; holds it again when it returns or throws.
template <class F>
decltype(auto) without_gil(const F& f) {
  const GilReleased released;
  return f();
}

/// Runs f(should_stop) without the GIL. f passes should_stop to the library; if the handler of a
/// signal, such as Ctrl-C, raises, so does this. An f(should_stop, released) may call Python by
/// released.with_gil().
template <class F>
auto interruptible(const F& f) {
  try {
    GilReleased released;
    const ShouldStop should_stop([&] { return released.signal_arrived(); });
    if constexpr (std::is_invocable_v<F, const ShouldStop&, GilReleased&>) {
      return f(should_stop, released);
    } else {
      return f(should_stop);
    }
  } catch (const Stopped&) {
    throw pybind11::error_already_set();
  }
}

}  // namespace fastmlp::python
