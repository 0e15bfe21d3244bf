# A toolchain file: compiles for Windows with MinGW's GCC and runs the tests with Wine (Debian: apt
# install g++-mingw-w64-x86-64-posix wine). tests/check_systems.py uses it.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_CROSSCOMPILING_EMULATOR wine)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static-libstdc++)  # the tests replace operator new, which no DLL would see
