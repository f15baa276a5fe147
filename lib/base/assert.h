// SPDX-License-Identifier: Apache-2.0
// Assertions that stay on in every build.
//
// BALLAST_ASSERT states what can only be false through a bug in Ballast itself; it never judges
// input, I/O results or the environment. A failed assertion writes expression, file and line to
// standard error and through the log sink, then aborts: a disk that stops is better than a disk
// that goes on with broken memory. Any thread may assert.
#pragma once

namespace ballast {

[[noreturn, gnu::cold]] void assertion_failed(const char* expression, const char* file,
                                              int line) noexcept;

}  // namespace ballast

#define BALLAST_ASSERT(expression)                      \
  (static_cast<bool>(expression) ? static_cast<void>(0) \
                                 : ::ballast::assertion_failed(#expression, __FILE__, __LINE__))
