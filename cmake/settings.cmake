# seprog::settings carries the language level, warnings, optimisation and sanitizers of every target of ours.
add_library(seprog_settings INTERFACE)
add_library(seprog::settings ALIAS seprog_settings)

# libtorch 2.10 is satisfied with C++17, 2.13 and later ask for C++20. This is the only place that names the standard.
target_compile_features(seprog_settings INTERFACE cxx_std_20)
target_compile_options(seprog_settings INTERFACE -Wall -Wextra $<$<CONFIG:Release>:-O3>)
if(SEPROG_WARNINGS_AS_ERRORS)
  target_compile_options(seprog_settings INTERFACE -Werror)
endif()

if(SEPROG_SANITIZE)
  # A finding ends the program. Dynamic types are not checked: those of libtorch's classes are not all exported.
  target_compile_options(seprog_settings INTERFACE -fsanitize=${SEPROG_SANITIZE} -fno-sanitize=vptr
    -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  target_link_options(seprog_settings INTERFACE -fsanitize=${SEPROG_SANITIZE})
else()
  target_link_options(seprog_settings INTERFACE $<$<CONFIG:Release>:-s>)
endif()
