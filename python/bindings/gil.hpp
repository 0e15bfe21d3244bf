// Calls of the library run without the GIL, and Ctrl-C interrupts them: without_gil, interruptible.
// At the end of the process, Python before 3.14 ends a thread that asks for the GIL by unwinding
// its stack, which C++ functions do not survive. Here such a thread sleeps until the process ends.
#pragma once

#include <fastmlp/should_stop.hpp>

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace fastmlp::python {

/// Guards a request for the GIL. Sleeps for ever if Python has ended or is ending. If Python
/// unwinds the thread during the request, the destructor runs before disarm() and sleeps for ever
/// too.
class WaitForTheEnd {
 public:
  WaitForTheEnd() {
    // 0 as soon as Python begins to end. The GIL itself may be gone by now.
    if (Py_IsInitialized() == 0) sleep();
  }
  ~WaitForTheEnd() {
    if (armed_) sleep();
  }
  WaitForTheEnd(const WaitForTheEnd&) = delete;
  WaitForTheEnd& operator=(const WaitForTheEnd&) = delete;
  void disarm() { armed_ = false; }

 private:
  [[noreturn]] static void sleep() {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  bool armed_ = true;
};

/// Releases the GIL for as long as it lives.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased() {
    WaitForTheEnd wait;
    PyEval_RestoreThread(state_);
    wait.disarm();
  }
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

/// Holds the GIL for as long as it lives, on a thread that has released it.
class GilTaken {
 public:
  GilTaken() {
    WaitForTheEnd wait;
    state_ = PyGILState_Ensure();
    wait.disarm();
  }
  ~GilTaken() { PyGILState_Release(state_); }
  GilTaken(const GilTaken&) = delete;
  GilTaken& operator=(const GilTaken&) = delete;

 private:
  PyGILState_STATE state_;
};

/// Runs f() without the GIL; holds it again when it returns or throws.
template <class F>
decltype(auto) without_gil(const F& f) {
  const GilReleased released;
  return f();
}

/// The ShouldStop of all bindings: whether the handler of a signal, such as Ctrl-C, has raised.
inline bool signal_arrived() {
  const GilTaken gil;
  return PyErr_CheckSignals() != 0;
}

/// Runs f() without the GIL. f passes signal_arrived to the library as its ShouldStop; if a
/// signal's handler raised, so does this.
template <class F>
auto interruptible(F&& f) {
  try {
    return without_gil(f);
  } catch (const Stopped&) {
    throw pybind11::error_already_set();
  }
}

}  // namespace fastmlp::python
