// How many processors this process may use. The quota is that of Linux's cgroups: /proc/self/cgroup
// names the group of the process in each hierarchy, /proc/self/mountinfo the folder where the files
// of a hierarchy are. Start at processors_by_quota().
#include "threads/processors.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace fastmlp::detail {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

/// Whether `name` is in a list such as "cpu,cpuacct".
bool lists(std::string_view list, std::string_view name) {
  for (;;) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == name) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

/// A path of mountinfo, in which a space is written as \040.
std::string unescaped(const std::string& text) {
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      const auto digit = [&](std::size_t k) { return text[i + k] - '0'; };
      path += static_cast<char>(64 * digit(1) + 8 * digit(2) + digit(3));  // in octal
      i += 3;
    } else {
      path += text[i];
    }
  }
  return path;
}

/// The group of this process in the hierarchy of cgroup v2, or in the one of v1 that has the
/// controller "cpu".
std::optional<std::string> group_of_process(const std::string& root, bool v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // 4:cpu,cpuacct:/some/group or 0::/group
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : lists(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

/// quota / period of one group; kNone if there is no limit.
double quota_of(const std::string& folder, bool v2) {
  double quota = 0, period = 0;
  if (v2) {
    std::ifstream file(folder + "/cpu.max");
    if (!(file >> quota >> period)) return kNone;  // "max 100000" is no number: no limit
  } else {
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
    std::ifstream period_file(folder + "/cpu.cfs_period_us");
    if (!(quota_file >> quota && period_file >> period)) return kNone;
  }
  return quota > 0 && period > 0 ? quota / period : kNone;
}

/// The smallest quota from `group` up to the top of a mount, which shows the groups below
/// `mount_root` in `folder`.
double smallest_quota(const std::string& group, const std::string& mount_root,
                      const std::string& folder, bool v2) {
  const std::string above = mount_root == "/" ? "" : mount_root;
  std::string below;  // the group, as seen from the top of the mount
  // A group that the mount does not show, as in some containers, counts as the mount's top.
  if (group.compare(0, above.size(), above) == 0 && group.find("/..") == std::string::npos) {
    below = group.substr(above.size());
  }
  double smallest = kNone;
  for (;;) {
    smallest = std::min(smallest, quota_of(folder + below, v2));
    const std::size_t slash = below.rfind('/');
    if (slash == std::string::npos) return smallest;
    below.resize(slash);
  }
}

}  // namespace

int processors_by_affinity() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 1024u));
}

int processors_by_quota(const std::string& root) {
  double smallest = kNone;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // 31 23 0:28 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
    std::istringstream fields(line);
    std::string skipped, mount_root, folder, word, type, options;
    fields >> skipped >> skipped >> skipped >> mount_root >> folder;
    while (fields >> word && word != "-") continue;
    fields >> type >> skipped >> options;
    const bool v2 = type == "cgroup2";
    if (!v2 && !(type == "cgroup" && lists(options, "cpu"))) continue;
    if (const auto group = group_of_process(root, v2)) {
      smallest = std::min(
          smallest, smallest_quota(*group, unescaped(mount_root), root + unescaped(folder), v2));
    }
  }
  return smallest == kNone ? 0 : std::max(1, static_cast<int>(std::ceil(std::min(smallest, 1e6))));
}

}  // namespace fastmlp::detail
