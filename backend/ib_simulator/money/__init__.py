"""What deals leave behind: positions, cash, commissions, margins, profit and loss."""
