// SPDX-License-Identifier: Apache-2.0
// The process's one T. It is made at its first use, without memory from the heap. It is never
// destroyed, because LUNs may outlive the end of main(). Any thread.
#pragma once

#include <cstddef>
#include <new>

namespace ballast {

template <class T>
T& never_destroyed() {
  alignas(T) static std::byte place[sizeof(T)];
  static T& the_one = *::new (place) T;
  return the_one;
}

}  // namespace ballast
