// SPDX-License-Identifier: Apache-2.0
// A block device of the test's own, gone when it is closed: a loop device over a file in memory, or
// over a file that it is given. If the machine cannot give one, path() is empty and why() says why.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "lib/base/units.h"

namespace ballast::test {

class LoopDevice {
 public:
  explicit LoopDevice(Bytes size, std::uint32_t block = 512)
      : LoopDevice{memory_file(size), block} {}
  // Takes over `file`.
  explicit LoopDevice(int file, std::uint32_t block = 512) : file_{file} {
    const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0 || file_ < 0) {
      why_ = std::string{"no loop devices here: "} + std::strerror(errno);
      return;
    }
    // Another program may take the free device first.
    for (int attempt = 0; attempt < 10 && path_.empty(); ++attempt) {
      attach("/dev/loop" + std::to_string(::ioctl(control, LOOP_CTL_GET_FREE)), block);
    }
    ::close(control);
  }
  ~LoopDevice() {
    if (device_ >= 0) {
      ::ioctl(device_, LOOP_CLR_FD);
      ::close(device_);
    }
    if (file_ >= 0) {
      ::close(file_);
    }
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  // Sets errno if it returns false.
  bool grow(Bytes size) const {
    return ::ftruncate(file_, static_cast<off_t>(size.value())) == 0 &&
           ::ioctl(device_, LOOP_SET_CAPACITY) == 0;
  }
  const std::string& path() const { return path_; }
  const std::string& why() const { return why_; }

 private:
  static int memory_file(Bytes size) {
    const int file = ::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return file >= 0 && ::ftruncate(file, static_cast<off_t>(size.value())) == 0 ? file : -1;
  }
  void attach(const std::string& path, std::uint32_t block) {
    const int device = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(file_);
    config.block_size = block;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (device >= 0 && ::ioctl(device, LOOP_CONFIGURE, &config) == 0) {
      device_ = device;
      path_ = path;
      return;
    }
    why_ = "no loop device to be had: " + path + ": " + std::strerror(errno);
    if (device >= 0) {
      ::close(device);
    }
  }
  int file_ = -1;
  int device_ = -1;
  std::string path_;
  std::string why_;
};

}  // namespace ballast::test
