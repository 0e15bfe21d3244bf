// The CPU quota of nested cgroups, read from a folder that looks like the root of a system.
#include "threads/processors.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>

using fastmlp::detail::processors_by_quota;

namespace {

class FakeRoot {
 public:
  FakeRoot() { std::filesystem::create_directories(path_); }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  FakeRoot& write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path_ + file).parent_path());
    std::ofstream(path_ + file) << text << '\n';
    return *this;
  }
  FakeRoot& process(const std::string& cgroup, const std::string& mountinfo) {
    return write("/proc/self/cgroup", cgroup).write("/proc/self/mountinfo", mountinfo);
  }
  int quota() const { return processors_by_quota(path_); }

 private:
  const std::string path_ =
      (std::filesystem::temp_directory_path() / ("fastmlp-root-" + std::to_string(getpid())))
          .string();
};

constexpr const char* kV2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw";

}  // namespace

TEST_CASE("the quota of the process's own group counts, rounded up") {
  FakeRoot root;
  root.process("0::/user/job", kV2).write("/sys/fs/cgroup/user/cpu.max", "max 100000");
  CHECK(root.quota() == 0);
  CHECK(root.write("/sys/fs/cgroup/user/job/cpu.max", "50000 100000").quota() == 1);
  CHECK(root.write("/sys/fs/cgroup/user/job/cpu.max", "250000 100000").quota() == 3);
}

TEST_CASE("the smallest quota between the group and the root counts") {
  FakeRoot root;
  root.process("0::/user/job/step", kV2)
      .write("/sys/fs/cgroup/user/job/step/cpu.max", "max 100000");
  root.write("/sys/fs/cgroup/user/job/cpu.max", "400000 100000");
  CHECK(root.quota() == 4);
  CHECK(root.write("/sys/fs/cgroup/user/cpu.max", "200000 100000").quota() == 2);
  CHECK(root.write("/sys/fs/cgroup/cpu.max", "100000 100000").quota() == 1);
  root.write("/sys/fs/cgroup/user/other/cpu.max", "1000 100000");
  CHECK(root.write("/sys/fs/cgroup/cpu.max", "300000 100000").quota() == 2);
}

TEST_CASE("cgroup v1 has the quota in the hierarchy of the controller cpu") {
  FakeRoot root;
  root.process("5:cpuset:/wrong\n4:cpu,cpuacct:/job/step\n0::/wrong",
               "30 23 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
               "31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct");
  const std::string folder = "/sys/fs/cgroup/cpu,cpuacct/job";
  root.write(folder + "/step/cpu.cfs_quota_us", "-1")
      .write(folder + "/step/cpu.cfs_period_us", "100000");
  CHECK(root.quota() == 0);
  root.write(folder + "/cpu.cfs_quota_us", "150000").write(folder + "/cpu.cfs_period_us", "100000");
  CHECK(root.quota() == 2);
}

TEST_CASE("a container sees the hierarchy from its own group down") {
  FakeRoot root;
  root.process("0::/docker/abc/job",
               "29 23 0:26 /docker/abc /sys/fs/my\\040groups rw - cgroup2 c rw");
  CHECK(root.write("/sys/fs/my groups/cpu.max", "300000 100000").quota() == 3);
  CHECK(root.write("/sys/fs/my groups/job/cpu.max", "100000 100000").quota() == 1);
}

TEST_CASE("a group that the mount does not show counts as the top of the mount") {
  for (const char* group : {"/../other", "/elsewhere"}) {
    FakeRoot root;
    root.process(std::string("0::") + group,
                 "29 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    CHECK(root.write("/sys/fs/cgroup/cpu.max", "200000 100000").quota() == 2);
  }
}

TEST_CASE("without cgroups there is no quota") { CHECK(FakeRoot().quota() == 0); }
#endif
