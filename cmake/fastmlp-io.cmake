# Finds nlohmann-json, which fastmlp/io.hpp needs. Sets fastmlp_io_FOUND, or else
# fastmlp_io_NOT_FOUND_MESSAGE. The build and the installed package both use this file.
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json 3.9 CONFIG QUIET)
endif()
if(TARGET nlohmann_json::nlohmann_json)
  set(fastmlp_io_FOUND TRUE)
else()
  set(fastmlp_io_FOUND FALSE)
  string(CONCAT fastmlp_io_NOT_FOUND_MESSAGE
         "fastmlp: fastmlp::io needs nlohmann-json 3.9 or later, which CMake does not find. Install it "
         "(Debian and Ubuntu: apt install nlohmann-json3-dev. Homebrew, Conda, vcpkg and Conan: "
         "nlohmann-json), make its target nlohmann_json::nlohmann_json before, or point "
         "nlohmann_json_DIR at it.")
endif()
