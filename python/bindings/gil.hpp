// The GIL, released and taken again. At the end of the process Python ends a thread that asks for
// the GIL by unwinding it (before 3.14), which C++ frames do not survive; such a thread waits here
// for the end of the process instead.
#pragma once

#include <fastmlp/should_stop.hpp>

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace fastmlp::python {

/// Stands around a request for the GIL: sleeps for ever where Python has ended or is ending, and
/// where it is destroyed by an unwinding that nothing has disarmed.
class WaitForTheEnd {
 public:
  WaitForTheEnd() {
    // 0 from the beginning of the end on. What the GIL is made of may be gone by now.
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

/// Without the GIL for as long as it lives.
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

/// With the GIL for as long as it lives, on a thread that released it.
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

/// f() without the GIL, which is back before any Python object is touched again.
template <class F>
decltype(auto) without_gil(const F& f) {
  const GilReleased released;
  return f();
}

/// Looks for signals, such as Ctrl-C, when the library asks.
inline bool signal_arrived() {
  const GilTaken gil;
  return PyErr_CheckSignals() != 0;
}

/// f() without the GIL; where a signal's handler raised, so does this.
template <class F>
auto interruptible(F&& f) {
  try {
    return without_gil(f);
  } catch (const Stopped&) {
    throw pybind11::error_already_set();
  }
}

}  // namespace fastmlp::python
