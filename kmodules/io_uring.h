// SPDX-License-Identifier: Apache-2.0
// Whether this kernel lets tcmu-runner use io_uring, which files and block devices need. A
// distribution may build it out or switch it off (RHEL 9 does).
#pragma once

#include <string>
#include <string_view>

namespace ballast::kmod {

// Returns "" if io_uring can be used, else one sentence that says what to do. `error`: what
// io_uring_setup(2) failed with, 0 if it did not. `disabled`: the value of
// kernel.io_uring_disabled, "" if this kernel has no such setting. Pure.
std::string judge_io_uring(int error, std::string_view disabled, bool is_root);

// Makes a ring and closes it again.
std::string look_for_io_uring();

}  // namespace ballast::kmod
