# Fails if an object file in OBJECTS defines a weak or unique symbol (see cpp/src/dispatch.hpp), or a
# function that initialises variables when the program is loaded: it would run instructions that the
# CPU may lack before dispatch.cpp has asked for them.
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} -C ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  if(NOT symbols MATCHES "fastmlp::detail::k[A-Z]")
    message(FATAL_ERROR "${object}: no kernel table found; is it the right file?")
  endif()
  string(REGEX MATCHALL "[^\n]* [WwVvu] [^\n]*" weak "${symbols}")
  if(weak)
    string(REPLACE ";" "\n" weak "${weak}")
    message(FATAL_ERROR "${object} has weak symbols:\n${weak}")
  endif()
  execute_process(COMMAND ${NM} ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  if(symbols MATCHES "[^\n]*(_GLOBAL__(sub_)?I_|__cxx_global_var_init|static_initialization)[^\n]*")
    message(FATAL_ERROR "${object} runs code when it is loaded:\n${CMAKE_MATCH_0}")
  endif()
endforeach()
