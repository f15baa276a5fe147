// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/issued.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/scsi/cdb.h"
#include "lib/scsi/sense.h"

namespace ballast::sim {

Issued::Issued(std::uint32_t its_number, Wish what, co::Random& random)
    : number{its_number}, wish{std::move(what)} {
  const std::vector<std::uint8_t> bytes = cdb_of(wish);
  cdb_memory_.reset(new std::uint8_t[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), cdb_memory_.get());
  cdb = {cdb_memory_.get(), bytes.size()};
  const std::vector<std::byte> out = data_of(wish);
  const std::size_t piece =
      random.chance(1, 2) || out.empty() ? out.size() : 1 + random.below(out.size());
  for (std::size_t at = 0; at < out.size(); at += piece) {
    const std::size_t here = std::min(piece, out.size() - at);
    if (segments_.size() == 8) {
      break;
    }
    const std::size_t length = segments_.size() == 7 ? out.size() - at : here;
    memory_.emplace_back(new std::byte[length]);
    std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(at), length, memory_.back().get());
    segments_.push_back(iovec{memory_.back().get(), length});
  }
  data = io::SgView{segments_};
  sense = sense_memory_;
}

bool Issued::found_stopped() const {
  constexpr scsi::AdditionalSense what = scsi::asc::initializing_command_required;
  return status == scsi::Status::check_condition && sense_key() == scsi::SenseKey::not_ready &&
         sense_length > 13 && sense[12] == what.code && sense[13] == what.qualifier;
}

std::uint32_t Issued::information() const {
  return sense_length >= 7 && sense[0] == 0xf0 ? be32(sense, 3) : 0;
}

std::string Issued::outcome() const {
  switch (status) {
    case scsi::Status::good:
      return "GOOD";
    case scsi::Status::busy:
      return "BUSY";
    case scsi::Status::task_set_full:
      return "TASK SET FULL";
    default:
      return fmt::format("status {:02x} sense key {:x} {:02x}/{:02x}",
                         static_cast<unsigned>(status), static_cast<unsigned>(sense_key()),
                         sense[12], sense[13]);
  }
}

std::vector<std::byte> Issued::bytes() const {
  std::vector<std::byte> all(data.size());
  io::copy(std::span{all}, data);
  return all;
}

void Issued::give_away(co::Random& random) {
  cdb = {};
  data = io::SgView{};
  transferred = mark;
  sense_given_away_ = sense_memory_;
  if (random.chance(1, 2)) {
    cdb_memory_.reset();
    memory_.clear();
    segments_.clear();
    return;
  }
  for (const iovec& segment : segments_) {
    std::fill_n(static_cast<std::byte*>(segment.iov_base), segment.iov_len, others);
  }
}

bool Issued::untouched() const {
  const bool same = transferred == mark && sense_memory_ == sense_given_away_;
  return same && std::all_of(segments_.begin(), segments_.end(), [](iovec segment) {
           const auto* const begin = static_cast<const std::byte*>(segment.iov_base);
           return std::all_of(begin, begin + segment.iov_len,
                              [](std::byte byte) { return byte == others; });
         });
}

}  // namespace ballast::sim
