# The one set of compiler and linker flags; every target of ours links app_flags.
add_library(app_flags INTERFACE)
target_compile_options(app_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wformat=2 -Wundef -Wvla -Wwrite-strings -Wcast-qual -Wpointer-arith
    -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion -Wconversion
    -fno-common -fno-omit-frame-pointer -g)
if(KENTONGAN_WERROR)
    target_compile_options(app_flags INTERFACE -Werror)
endif()
# log.h; gcc does not know it and says nothing, clang and clang-tidy would complain
target_compile_options(app_flags INTERFACE -Wno-gnu-zero-variadic-macro-arguments)
if(KENTONGAN_SAN)
    target_compile_options(app_flags INTERFACE -fsanitize=${KENTONGAN_SAN} -fno-sanitize-recover=all)
    target_link_options(app_flags INTERFACE -fsanitize=${KENTONGAN_SAN})
endif()
if(KENTONGAN_FUZZ)
    target_compile_options(app_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(app_flags INTERFACE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fPIE)
    target_link_options(app_flags INTERFACE -pie -Wl,-z,relro,-z,now)
endif()
