// Choosing the instruction set and the number of threads.
#include "support.hpp"
#include "threads/parallel.hpp"

#include <fastmlp/network.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>

using namespace fastmlp;
using namespace fastmlp::testing;

TEST_CASE("the last available instruction set is scalar, and each can be chosen") {
  const Settings restore;
  CHECK(available_isas().back() == "scalar");
  for (const std::string& name : available_isas()) {
    set_isa(name);
    CHECK(isa() == name);
  }
}

TEST_CASE("an instruction set that the CPU lacks is refused, and this test names it") {
  std::vector<std::string> built = {"scalar"};
#ifdef FASTMLP_HAS_AVX2
  built.emplace_back("avx2");
#endif
#ifdef FASTMLP_HAS_AVX512
  built.emplace_back("avx512");
#endif
#ifdef FASTMLP_HAS_NEON
  built.emplace_back("neon");
#endif
  const std::vector<std::string> available = available_isas();
  for (const std::string& name : built) {
    if (std::count(available.begin(), available.end(), name) > 0) continue;
    MESSAGE("skipped: this CPU has no ", name);
    CHECK_THROWS_AS(set_isa(name), std::invalid_argument);
  }
  CHECK(available.size() <= built.size());
}

#if defined(FASTMLP_HAS_AVX2) && defined(FASTMLP_HAS_AVX512) && defined(__GLIBC__)
TEST_CASE("AVX2 and AVX-512 are found where the compiler's own library finds them") {
  const auto is_available = [](const char* name) {
    const std::vector<std::string> names = available_isas();
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const bool fma = __builtin_cpu_supports("fma") != 0;
  CHECK(is_available("avx2") == (fma && __builtin_cpu_supports("avx2") != 0));
  CHECK(is_available("avx512") ==
        (fma && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0));
}
#endif

TEST_CASE("an unknown instruction set is refused with the list of known ones") {
  CHECK_THROWS_AS(set_isa("sse9"), std::invalid_argument);
  CHECK_THROWS_WITH(set_isa("sse9"), doctest::Contains("scalar"));
}

TEST_CASE("the instruction set cannot be changed while a call is running") {
  Network<float> net({2, 3, 1});
  const RowSource<float> X(
      4, 2, [](const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t, float*) { set_isa("scalar"); });
  Matrix<float> out(4, 1);
  CHECK_THROWS_WITH_AS(net.forward(X, out.view()), doctest::Contains("set_isa: a call is running"),
                       std::runtime_error);
  CHECK_NOTHROW(set_isa(isa()));
}

TEST_CASE("the number of threads is obeyed beyond the number of processors") {
  const Settings restore;
  CHECK_THROWS_AS(set_num_threads(0), std::invalid_argument);
  CHECK_THROWS_AS(set_num_threads(1025), std::invalid_argument);
  set_num_threads(7);
  CHECK(num_threads() == (has_openmp() ? 7 : 1));
  std::atomic<int> ran{0};
  detail::with_team(detail::team_for(1e12, 1e12), [&] {
    std::atomic<int> here{0};
    const int team = detail::team_size();
    detail::parallel_tasks(team, team, [&](std::ptrdiff_t, int) noexcept {
      ++ran;
      while (++here, here < team) std::this_thread::yield();
    });
  });
  CHECK(ran == num_threads());
  CHECK(last_team_size() == num_threads());
}

TEST_CASE("part_of gives each element of a range to one thread, in whole grains") {
  for (const std::ptrdiff_t n : {0, 1, 15, 16, 17, 100}) {
    for (int team = 1; team <= 9; ++team) {
      std::ptrdiff_t next = 0;
      for (int thread = 0; thread < team; ++thread) {
        const detail::Range part = detail::part_of(n, 16, thread, team);
        CHECK(part.begin == next);
        CHECK((part.end % 16 == 0 || part.end == n));
        next = part.end;
      }
      CHECK(next == n);
    }
  }
}
