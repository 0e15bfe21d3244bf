// The settings of the whole process: the instruction set and the number of threads.
#pragma once

#include <fastmlp/visibility.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace fastmlp {

/// The version of the library, such as "0.1.0".
FASTMLP_EXPORT std::string_view version();

/// The instruction set in use: the best one available, unless `FASTMLP_ISA` or set_isa chose
/// another.
/// \throws std::invalid_argument if `FASTMLP_ISA` names one that this machine or build lacks.
FASTMLP_EXPORT std::string isa();

/// The instruction sets that this machine and this build have, best first; the last is "scalar".
FASTMLP_EXPORT std::vector<std::string> available_isas();

/// Chooses the instruction set. This changes the speed, but no bit of any result.
/// \throws std::invalid_argument for an unknown or unavailable name.
/// \throws std::runtime_error while a call of the library is running.
FASTMLP_EXPORT void set_isa(std::string_view name);

/// The largest number of threads that a call uses. The default comes from `OMP_NUM_THREADS`, or
/// else from the processors this process may use (affinity and cgroup quota). In a child made by
/// fork() every call uses one thread, whatever this says. 1 in a build without OpenMP.
FASTMLP_EXPORT int num_threads();

/// Sets num_threads(), which may be larger than the number of processors.
/// \throws std::invalid_argument unless 1 <= n <= 1024.
FASTMLP_EXPORT void set_num_threads(int n);

/// The number of threads of the last call on any thread; for tests.
FASTMLP_EXPORT int last_team_size();

/// Whether this build has OpenMP.
FASTMLP_EXPORT bool has_openmp();

}  // namespace fastmlp
