// SPDX-License-Identifier: Apache-2.0
#include "kmodules/io_uring.h"

#include <fmt/format.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace ballast::kmod {

std::string judge_io_uring(int error, std::string_view disabled, bool is_root) {
  // 1: only root and one group may use it (Documentation/admin-guide/sysctl/kernel.rst).
  if (error == 0 || (error == EPERM && disabled == "1" && !is_root)) {
    return "";
  }
  if (error == ENOSYS) {
    return "this kernel has no io_uring: install one that is built with CONFIG_IO_URING=y";
  }
  if (error == EPERM && !disabled.empty()) {
    return fmt::format(
        "switched off by kernel.io_uring_disabled={}: run sysctl -w kernel.io_uring_disabled=0 as "
        "root, and write kernel.io_uring_disabled=0 to /etc/sysctl.d/ballast.conf for the next "
        "boot",
        disabled);
  }
  return fmt::format("io_uring_setup() fails: {}: look for what forbids it (seccomp, a container)",
                     std::strerror(error));
}

std::string look_for_io_uring() {
  io_uring_params parameters{};
  const long ring = ::syscall(__NR_io_uring_setup, 1, &parameters);
  const int error = ring < 0 ? errno : 0;
  if (ring >= 0) {
    ::close(static_cast<int>(ring));
  }
  std::string disabled;
  std::getline(std::ifstream{"/proc/sys/kernel/io_uring_disabled"}, disabled);
  return judge_io_uring(error, disabled, ::geteuid() == 0);
}

}  // namespace ballast::kmod
