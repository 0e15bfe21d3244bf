// How many processors this process may use.
#pragma once

#include <string>

namespace fastmlp::detail {

/// The processors in the affinity mask of the process.
int processors_by_affinity();

/// The CPU quota of the process in whole processors, rounded up, or 0 if it has none: the smallest
/// quota of its cgroup and of all groups above that. Reads files below the folder `root`, which is
/// empty except in tests.
int processors_by_quota(const std::string& root = "");

}  // namespace fastmlp::detail
