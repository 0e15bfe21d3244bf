# Installs the library and the CMake package that find_package(fastmlp) reads.
include(CMakePackageConfigHelpers)

set(runtime ${CMAKE_INSTALL_BINDIR})
if(fastmlp_for_python)
  set(runtime .)  # Windows looks for the DLL of a module beside the module
endif()
install(TARGETS fastmlp EXPORT fastmlpTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${runtime})
install(DIRECTORY cpp/include/fastmlp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/fastmlp)
install(EXPORT fastmlpTargets NAMESPACE fastmlp:: DESTINATION ${package})
set(fastmlp_needs_openmp OFF)
if(FASTMLP_HAS_OPENMP AND NOT FASTMLP_SHARED)
  set(fastmlp_needs_openmp ON)
endif()
configure_package_config_file(cmake/fastmlpConfig.cmake.in fastmlpConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(fastmlpConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fastmlpConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/fastmlpConfigVersion.cmake
              cmake/fastmlp-io.cmake
        DESTINATION ${package})

if(fastmlp_for_python)  # `fastmlp export` copies their marked parts into its headers
  install(FILES cpp/src/kernels/kernel_table.hpp cpp/src/kernels/math.hpp cpp/src/kernels/erf.hpp
                cpp/src/kernels/activations.hpp cpp/src/kernels/losses.hpp
          DESTINATION kernels)
else()
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/fastmlp)
endif()
