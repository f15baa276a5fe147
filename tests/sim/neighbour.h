// SPDX-License-Identifier: Apache-2.0
// Neighbour: another LUN on the same executor, of which copies read. Nobody sends it commands.
//
// It is the shipped LUN on a store that has the blocks of one piece of data where the library is
// (initiator.h). The store may hang for up to longest_hang, and fail reads. The LUN may be closed
// and opened again.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "lib/co/gate.h"
#include "lib/co/sim_executor.h"
#include "lib/io/buffer_pool.h"
#include "lib/lun/copy_offers.h"
#include "lib/lun/lun.h"
#include "lib/scsi/stalled_luns.h"

namespace ballast::sim {

class Neighbour final : public scsi::FrontEnd {
 public:
  static constexpr std::string_view serial = "7a31c0de-0000-4000-8000-00000000abcd";
  static constexpr const char* group = "sim";
  static constexpr Nanoseconds longest_hang = std::chrono::seconds{20};

  // All of these outlive it.
  Neighbour(co::Executor& executor, io::BufferPool& buffers, lun::CopyOffers& offers,
            std::uint64_t seed, std::uint32_t blocks);
  ~Neighbour() override;

  // From now on block n of the store holds block n of this data.
  void shelve(std::uint32_t data) { shelf_.data = data; }
  // Whether reads hang now and then, and fail.
  void be_rough(bool rough) { shelf_.rough = rough; }
  void close();
  // Opens it again, if it is gone.
  void reopen();
  bool closing() const { return closing_; }

  void answer(scsi::Command& command, scsi::Status status) override;

 private:
  struct Shelf {
    std::uint32_t data = 0;
    bool rough = false;
    co::Random random;
    std::uint32_t blocks;
  };
  class Store;
  void open();

  co::Executor& executor_;
  io::BufferPool& buffers_;
  lun::CopyOffers& offers_;
  Shelf shelf_;
  scsi::StalledLuns stalled_luns_;
  std::unique_ptr<lun::Lun> lun_;
  bool closing_ = false;
};

}  // namespace ballast::sim
