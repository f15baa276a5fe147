// SPDX-License-Identifier: Apache-2.0
// cmocka for C++. Include this file last: cmocka needs four C headers before it, and its macro
// fail() collides with iostreams.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>  // NOLINT: after the four above
}
#undef fail
