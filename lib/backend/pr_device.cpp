// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/pr_device.h"

#include <fmt/format.h>
#include <linux/pr.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "lib/base/big_endian.h"

namespace ballast::backend {
namespace {

// SPC-4, 6.13 and 6.14
constexpr std::uint8_t persistent_reserve_in = 0x5e;
constexpr std::uint8_t persistent_reserve_out = 0x5f;
constexpr std::uint8_t read_reservation = 0x01;
constexpr std::uint8_t reserve_action = 0x01;
constexpr std::uint8_t preempt_and_abort_action = 0x05;

constexpr std::uint8_t check_condition = 0x02;
constexpr std::uint8_t reservation_conflict = 0x18;
constexpr std::uint8_t illegal_request = 0x05;
constexpr std::uint8_t unit_attention = 0x06;

// A device has one for each thing that happened.
constexpr int most_attentions = 8;
// The kernel resets the device when the time is up, and the session after that. Neither would make
// the answer come sooner.
constexpr unsigned timeout_ms = 24 * 3600 * 1000;

// Whether it is a partition, or a device of device-mapper other than dm-multipath. Linux passes the
// commands of many of these on to the disk below.
bool is_part_of_a_disk(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    return false;
  }
  const std::string folder =
      fmt::format("/sys/dev/block/{}:{}/", major(status.st_rdev), minor(status.st_rdev));
  if (::access((folder + "partition").c_str(), F_OK) == 0) {
    return true;
  }
  std::ifstream uuid{folder + "dm/uuid"};
  std::string line;
  std::getline(uuid, line);
  return uuid.is_open() && !line.starts_with("mpath-");
}

// SPC-4, 4.5: fixed or descriptor format.
std::uint8_t key_of(std::span<const std::uint8_t> sense) {
  const std::uint8_t form = sense[0] & 0x7f;
  return form >= 0x72 ? sense[1] & 0x0f : sense[2] & 0x0f;
}

}  // namespace

int PrDevice::command(std::span<std::uint8_t> cdb, int direction, std::span<std::uint8_t> data) {
  for (int attempt = 0; attempt < most_attentions; ++attempt) {
    std::array<std::uint8_t, 64> sense{};
    sg_io_hdr_t order{};
    order.interface_id = 'S';
    order.dxfer_direction = direction;
    order.cmdp = cdb.data();
    order.cmd_len = static_cast<unsigned char>(cdb.size());
    order.dxferp = data.data();
    order.dxfer_len = static_cast<unsigned>(data.size());
    order.sbp = sense.data();
    order.mx_sb_len = static_cast<unsigned char>(sense.size());
    order.timeout = timeout_ms;
    if (::ioctl(fd_, SG_IO, &order) != 0) {
      const bool no_scsi = errno == ENOTTY || errno == EINVAL;
      return no_scsi ? -EOPNOTSUPP : -errno;
    }
    if (order.status == reservation_conflict) {
      return -EBADE;
    }
    if (order.status == 0 && order.host_status == 0) {
      return 0;
    }
    const bool has_sense = order.status == check_condition;
    if (has_sense && key_of(sense) == illegal_request) {
      return -EOPNOTSUPP;
    }
    if (!has_sense || key_of(sense) != unit_attention) {
      return -EIO;
    }
  }
  return -EIO;
}

int PrDevice::read_holder(std::optional<PrHolder>* holder) {
  std::array<std::uint8_t, 24> data{};
  std::array<std::uint8_t, 10> cdb{persistent_reserve_in, read_reservation};
  cdb[8] = data.size();
  const int result = command(cdb, SG_DXFER_FROM_DEV, data);
  if (result == 0) {
    holder->reset();
    const bool is_held = be32(data, 4) != 0;  // the length of what follows
    if (is_held) {
      *holder = PrHolder{.key = be64(data, 8), .type = static_cast<std::uint8_t>(data[21] & 0x0f)};
    }
  }
  return result;
}

int PrDevice::register_key(std::optional<PrKey> old, PrKey key) {
  pr_registration order{};
  order.old_key = old.value_or(0);
  order.new_key = key;
  order.flags = old.has_value() ? 0 : PR_FL_IGNORE_KEY;
  for (int attempt = 0; attempt < most_attentions; ++attempt) {
    const int result = ::ioctl(fd_, IOC_PR_REGISTER, &order);
    if (result < 0) {
      return errno == ENOTTY ? -EOPNOTSUPP : -errno;
    }
    if (result == 0) {
      return 0;
    }
    // A positive result is the kernel's word for the answer: the status in the lowest byte.
    if ((result & 0xff) == reservation_conflict) {
      return -EBADE;
    }
    if ((result & 0xff) != check_condition) {
      return -EIO;
    }
  }
  return -EIO;
}

int PrDevice::out(std::uint8_t action, PrKey key, PrKey other) {
  std::array<std::uint8_t, 24> data{};
  put64(data, 0, key);
  put64(data, 8, other);
  std::array<std::uint8_t, 10> cdb{persistent_reserve_out, action, PrHolder::registrants_only};
  cdb[8] = data.size();
  return command(cdb, SG_DXFER_TO_DEV, data);
}

int PrDevice::reserve(PrKey key) {
  return out(reserve_action, key, 0);
}

int PrDevice::preempt_and_abort(PrKey key, PrKey other) {
  return out(preempt_and_abort_action, key, other);
}

int PrDevice::reset() {
  constexpr int no_escalate = 0x100;  // SG_SCSI_RESET_NO_ESCALATE, which glibc's scsi/sg.h lacks
  int what = SG_SCSI_RESET_DEVICE | no_escalate;
  return ::ioctl(fd_, SG_SCSI_RESET, &what) == 0 ? 0 : -errno;
}

Result<void> check_reservations(const char* path, int fd) {
  if (is_part_of_a_disk(fd)) {
    return Error{
        EINVAL, fmt::format("{} is a partition, a logical volume or the like, and a reservation is "
                            "of a whole disk: with lock=pr, use the disk",
                            path)};
  }
  std::optional<PrHolder> holder;
  const int read = PrDevice{fd}.read_holder(&holder);
  if (read == 0) {
    return {};
  }
  if (read == -EOPNOTSUPP) {
    return Error{
        EINVAL,
        fmt::format("{} has no SCSI persistent reservations, which lock=pr needs: use a LUN "
                    "of a storage array, by its sd device or by dm-multipath",
                    path)};
  }
  return Error{-read, fmt::format("{}: its persistent reservation cannot be read: {}", path,
                                  std::strerror(-read))};
}

}  // namespace ballast::backend
