# Imported targets for the one libtorch named by SEPROG_LIBTORCH.
#
# find_package(Torch) is avoided on purpose: it searches the system and can pick up a foreign copy. Here every library is
# named by its full path, and native/core/pch.h checks that the headers are of the same version.

if(NOT SEPROG_LIBTORCH)
  message(FATAL_ERROR "expected -DSEPROG_LIBTORCH=FOLDER with the libtorch to build against but received nothing. "
    "`node scripts/install.mjs --print-libtorch` prints one")
endif()
get_filename_component(SEPROG_TORCH_ROOT "${SEPROG_LIBTORCH}" REALPATH)
if(EXISTS "${SEPROG_TORCH_ROOT}/torch/lib/libtorch_cpu.so")
  string(APPEND SEPROG_TORCH_ROOT "/torch")
endif()
foreach(required lib/libc10.so lib/libtorch_cpu.so include/ATen/ATen.h include/torch/csrc/api/include/torch/types.h)
  if(NOT EXISTS "${SEPROG_TORCH_ROOT}/${required}")
    message(FATAL_ERROR "expected a libtorch at `SEPROG_LIBTORCH` but ${SEPROG_TORCH_ROOT}/${required} does not exist")
  endif()
endforeach()

foreach(candidate torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS "${SEPROG_TORCH_ROOT}/include/${candidate}")
    file(STRINGS "${SEPROG_TORCH_ROOT}/include/${candidate}" version_lines
      REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    if(version_lines)
      break()
    endif()
  endif()
endforeach()
foreach(part MAJOR MINOR PATCH)
  string(REGEX MATCH "TORCH_VERSION_${part} ([0-9]+)" matched "${version_lines}")
  set(SEPROG_TORCH_${part} "${CMAKE_MATCH_1}")
endforeach()
set(SEPROG_TORCH_VERSION "${SEPROG_TORCH_MAJOR}.${SEPROG_TORCH_MINOR}.${SEPROG_TORCH_PATCH}")
if(SEPROG_TORCH_VERSION VERSION_LESS 2.10 OR SEPROG_TORCH_VERSION VERSION_GREATER_EQUAL 2.15)
  message(FATAL_ERROR "expected libtorch 2.10 to 2.14 but ${SEPROG_TORCH_ROOT} is ${SEPROG_TORCH_VERSION}")
endif()
message(STATUS "libtorch ${SEPROG_TORCH_VERSION}: ${SEPROG_TORCH_ROOT}")

add_library(seprog_openmp INTERFACE)
add_library(seprog::openmp ALIAS seprog_openmp)
# Without -fopenmp at::parallel_for is silently serial. At link, libtorch's own copy of libgomp is named, where it
# brings one, so that only one OpenMP runtime ever enters the process.
target_compile_options(seprog_openmp INTERFACE -fopenmp)
file(GLOB bundled_libgomp "${SEPROG_TORCH_ROOT}/lib/libgomp*.so*")
if(bundled_libgomp)
  list(GET bundled_libgomp 0 bundled_libgomp)
  target_link_libraries(seprog_openmp INTERFACE "${bundled_libgomp}")
else()
  target_link_options(seprog_openmp INTERFACE -fopenmp)
endif()

foreach(name c10 torch_cpu)
  add_library(seprog_${name} SHARED IMPORTED)
  set_target_properties(seprog_${name} PROPERTIES
    IMPORTED_LOCATION "${SEPROG_TORCH_ROOT}/lib/lib${name}.so"
    INTERFACE_INCLUDE_DIRECTORIES
      "${SEPROG_TORCH_ROOT}/include;${SEPROG_TORCH_ROOT}/include/torch/csrc/api/include")
endforeach()

add_library(seprog_torch INTERFACE)
add_library(seprog::torch ALIAS seprog_torch)
target_link_libraries(seprog_torch INTERFACE seprog_torch_cpu seprog_c10 seprog::openmp)
target_compile_definitions(seprog_torch INTERFACE
  SEPROG_TORCH_VERSION="${SEPROG_TORCH_VERSION}"
  SEPROG_TORCH_MAJOR=${SEPROG_TORCH_MAJOR}
  SEPROG_TORCH_MINOR=${SEPROG_TORCH_MINOR})
# libtorch_cpu of a CUDA build needs libcudart and libcupti; they are found when the process loads it, not at link.
target_link_options(seprog_torch INTERFACE -Wl,--allow-shlib-undefined)

# What a plain program needs to see GPUs: nothing of it is called by name, so it has to be named at link. The addons
# open it at run time instead, where there is a driver.
add_library(seprog_torch_gpu INTERFACE)
add_library(seprog::torch_gpu ALIAS seprog_torch_gpu)
if(EXISTS "${SEPROG_TORCH_ROOT}/lib/libtorch_cuda.so")
  target_link_libraries(seprog_torch_gpu INTERFACE -Wl,--no-as-needed "${SEPROG_TORCH_ROOT}/lib/libtorch_cuda.so"
    "${SEPROG_TORCH_ROOT}/lib/libc10_cuda.so" -Wl,--as-needed)
endif()
